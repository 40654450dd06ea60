"""The analysis: plan → load → group → measure → summarize.

Data flows one way, and the modules follow it: :mod:`~cooanalysis.analysis.plan` (which images),
:mod:`~cooanalysis.analysis.load` (patches), :mod:`~cooanalysis.analysis.groups` and
:mod:`~cooanalysis.analysis.grouping` (potential-HR groups), :mod:`~cooanalysis.analysis.measure`
(what is measured in them), :mod:`~cooanalysis.analysis.ceiling` (PSNR ceiling),
:mod:`~cooanalysis.analysis.clean_manifold` (distance to the clean manifold),
:mod:`~cooanalysis.analysis.maps` and :mod:`~cooanalysis.analysis.explore` (what is shown) and
:mod:`~cooanalysis.analysis.summary`; :mod:`~cooanalysis.analysis.run` joins them.
"""
