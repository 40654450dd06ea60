"""Figures of an analysis, one file each; :mod:`cooanalysis.plots.registry` lists them."""
