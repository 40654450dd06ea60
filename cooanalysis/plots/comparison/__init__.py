"""Figures of a comparison, one file each; :mod:`cooanalysis.plots.registry` lists them."""
