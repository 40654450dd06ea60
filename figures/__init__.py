"""Regenerate every figure and table of the argument: ``python -m figures``.

One module per figure, named by what it shows; each has ``TITLE``, ``data``, ``draw`` and
``caption`` (see :mod:`figures.contract`).
"""
