"""One study on many processes or machines, by Dask distributed.

:mod:`~cooanalysis.cluster.client` connects, and is all that a study sees;
:mod:`~cooanalysis.cluster.tasks` is what runs on workers. Every worker maps the decoded images of
the data sets and indexes a range of the reference patches; what travels are positions of patches,
candidates and measures. A worker that dies takes only work with it that others do again.
"""

from cooanalysis.cluster.client import Cluster, open_cluster

__all__ = ["Cluster", "open_cluster"]
