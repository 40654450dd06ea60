"""The analysis as one object: plan → run → result.

Data flows one way, and the modules follow it: :mod:`~cooanalysis.study.plan` (which images),
:mod:`~cooanalysis.study.inputs` (patches), :mod:`~cooanalysis.study.groups` (potential-HR groups
and what is measured in them), :mod:`~cooanalysis.study.ceiling`,
:mod:`~cooanalysis.study.cleanness` (distance to the clean manifold), and
:mod:`~cooanalysis.study.pictures`; :mod:`~cooanalysis.study.run` joins them.
"""

from cooanalysis.study.plan import Study

__all__ = ["Study"]
