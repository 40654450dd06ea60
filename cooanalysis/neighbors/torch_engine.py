"""Exact search in torch: for CUDA machines whose FAISS has no GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cooanalysis.neighbors.vectors import VectorSource, blocks

RUN = 64
"""Neighbouring vectors whose smallest distance to a query is looked at before they are."""

TILE_RUNS = 1 << 12
"""Runs whose distances to a batch of queries are in memory at once."""

_TILE_BYTES = 1 << 30


@dataclass
class TorchEngine:
    """Exact candidates: tiles of the distance matrix by matrix product, then top-k.

    Selecting the k smallest of a row costs several passes over it, many times the product
    itself when vectors are short. So each tile is reduced at once to the minima of runs of
    :data:`RUN` vectors, which is one pass over it: a row's k smallest values lie in the k runs
    whose minima are smallest, and only those are looked into.

    Distances are computed in float32 with TensorFloat-32 switched off, so that neighbours are
    those of the other engines.

    Attributes
    ----------
    name
        ``"torch-cuda"`` or ``"torch-cpu"``.
    size
        Number of vectors.
    """

    name: str
    size: int
    _vectors: Any  # (runs, RUN, dim); zeros fill the last run
    _norms: Any  # (runs * RUN,); infinite for what fills the last run

    @classmethod
    def build(cls, source: VectorSource, device: str = "auto") -> TorchEngine:
        """Move the vectors to the GPU (or keep them, with ``device="cpu"`` or without a GPU)."""
        import torch

        on_gpu = torch.cuda.is_available() and device != "cpu"
        place = "cuda" if on_gpu else "cpu"
        size = len(source)
        runs = -(-size // RUN)
        vectors = torch.empty((runs * RUN, source.dim), device=place)
        norms = torch.empty(runs * RUN, device=place)
        vectors[size:], norms[size:] = 0.0, torch.inf
        for start, block in blocks(source):
            stop = start + len(block)
            vectors[start:stop] = torch.from_numpy(block)
            norms[start:stop] = torch.linalg.vecdot(vectors[start:stop], vectors[start:stop])
        return cls(f"torch-{place}", size, vectors.view(runs, RUN, source.dim), norms)

    max_effort = 0

    def set_effort(self, effort: int) -> None:
        """Nothing to set: the search is exact."""

    def search(self, queries: NDArray[np.float32], k: int) -> NDArray[np.int64]:
        """See :class:`cooanalysis.neighbors.index.Engine`."""
        import torch

        k = min(k, self.size)
        rows = self._queries_at_once(k)
        before = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = False
        try:
            found = []
            for start in range(0, len(queries), rows):
                some = torch.from_numpy(np.ascontiguousarray(queries[start : start + rows]))
                found.append(self._nearest(some.to(self._vectors.device), k).cpu().numpy())
        finally:
            torch.backends.cuda.matmul.allow_tf32 = before
        return np.concatenate(found) if found else np.empty((0, k), np.int64)

    def _queries_at_once(self, k: int) -> int:
        """As many as fill a tile, and as have room for their minima."""
        runs = len(self._vectors)
        return max(1, _TILE_BYTES // (4 * max(min(runs, TILE_RUNS) * RUN, runs)))

    def _nearest(self, queries: Any, k: int) -> Any:
        """(q, k) row numbers, in any order."""
        import torch

        runs, _, dim = self._vectors.shape
        minima = torch.empty((len(queries), runs), device=queries.device)
        for start in range(0, runs, TILE_RUNS):
            block = self._vectors[start : start + TILE_RUNS].view(-1, dim)
            norms = self._norms[start * RUN : start * RUN + len(block)]
            # |q - v|^2 without the constant |q|^2, which does not change the order.
            tile = torch.addmm(norms, queries, block.T, alpha=-2.0)
            minima[:, start : start + TILE_RUNS] = tile.view(len(queries), -1, RUN).amin(2)
        chosen = minima.topk(min(k, runs), dim=1, largest=False, sorted=False).indices
        # What is looked into: the members of the chosen runs, and a copy while they are compared.
        step = max(1, _TILE_BYTES // (2 * 4 * chosen.shape[1] * RUN * dim))
        return torch.cat(
            [
                self._nearest_in_runs(queries[a : a + step], chosen[a : a + step], k)
                for a in range(0, len(queries), step)
            ]
        )

    def _nearest_in_runs(self, queries: Any, chosen: Any, k: int) -> Any:
        """(q, k) row numbers of the nearest vectors in each query's ``chosen`` runs."""
        import torch

        members = torch.arange(RUN, device=queries.device)
        rows = (chosen[:, :, None] * RUN + members).flatten(1)
        difference = self._vectors[chosen].flatten(1, 2)
        difference -= queries[:, None]
        distance = torch.linalg.vecdot(difference, difference)
        distance[rows >= self.size] = torch.inf
        return rows.gather(1, distance.topk(k, dim=1, largest=False, sorted=False).indices)
