"""Command lines, one module per command. The only modules that print.

Heavy imports happen inside the commands, so that ``--help`` is immediate.
"""
