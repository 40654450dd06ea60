"""Command lines, one module a command. The only modules that print.

Heavy imports happen inside the commands, so that ``--help`` answers at once.
"""
