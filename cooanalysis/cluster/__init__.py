"""One analysis on many processes or machines, with Dask distributed.

:mod:`~cooanalysis.cluster.client` connects, and is all that an analysis sees;
:mod:`~cooanalysis.cluster.tasks` runs on workers. Every worker maps the decoded images of
the data sets and indexes a range of the reference patches; only positions of patches,
candidates and measures are sent. If a worker dies, others repeat its work.
"""

from cooanalysis.cluster.client import Cluster, open_cluster

__all__ = ["Cluster", "open_cluster"]
