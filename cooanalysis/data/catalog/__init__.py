"""The data sets that are known by name, one file each or one per download.

An archive has an address here only together with a published checksum; a data set
without one is not downloaded: the user gets it and puts it where
:mod:`~cooanalysis.data.datasets` looks.
"""
