"""Nearest neighbors behind one interface: FAISS on CPU, FAISS on GPU, torch on CUDA.

Start with :func:`build_index` and :func:`search_excluding`; :func:`recall_at_k` says how
much an approximate index misses.
"""

from cooanalysis.neighbors.clusters import KMeansCells, fit_kmeans
from cooanalysis.neighbors.engines import ENGINES, available_engine
from cooanalysis.neighbors.index import (
    INDEX_KINDS,
    NeighborIndex,
    Neighbors,
    build_index,
    exact_search,
)
from cooanalysis.neighbors.search import (
    Recall,
    merge_neighbors,
    recall_at_k,
    recall_by_distance,
    search_excluding,
    tune_to_recall,
)
from cooanalysis.neighbors.vectors import ArrayVectors, VectorSource

__all__ = [
    "ArrayVectors",
    "ENGINES",
    "INDEX_KINDS",
    "KMeansCells",
    "NeighborIndex",
    "Neighbors",
    "Recall",
    "VectorSource",
    "available_engine",
    "build_index",
    "exact_search",
    "fit_kmeans",
    "merge_neighbors",
    "recall_at_k",
    "recall_by_distance",
    "search_excluding",
    "tune_to_recall",
]
