"""Exact search in torch: for CUDA machines whose FAISS has no GPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cooanalysis.neighbors.vectors import Vectors, VectorSource, blocks
from cooanalysis.runtime.precision import single_precision

RUN = 64
"""Consecutive vectors whose smallest distance to a query is compared before they are."""

TILE_RUNS = 1 << 12
"""Runs whose distances to a batch of queries are in memory at the same time."""

TILE_BYTES = {"cpu": 1 << 28, "cuda": 1 << 31}
"""The most that a tile may take; minima, and members of the chosen runs, may each take as much."""

SHARE_OF_GPU = 0.125
"""Share of a GPU's free memory that a tile may take."""

_ALIGNED = 4
"""Products of rows aligned to 16 bytes are faster."""


@dataclass
class TorchEngine:
    """Exact candidates: tiles of the distance matrix by matrix product, then top-k.

    Selecting the k smallest values of a row takes several passes over it, many times the product
    itself when vectors are short. So each tile is reduced at once to the minima of runs of
    :data:`RUN` vectors, which is one pass over it: the k nearest of a query lie in the k runs
    whose minima are smallest, and only those are searched.

    Distances are computed in float32 with TensorFloat-32 switched off, so that neighbors are
    those of the other engines.

    Attributes
    ----------
    name
        ``"torch-cuda"`` or ``"torch-cpu"``.
    size, dim
        Number of vectors, and of their values.
    """

    name: str
    size: int
    dim: int
    _tile_bytes: int
    _runs: Any
    """(runs, RUN, width): values, squared norm, zeros; the last run is filled with infinite norms.
    Times (-2q, 1, 0) that is the squared distance to q without q's norm, which does not affect the
    order."""

    @classmethod
    def build(cls, source: VectorSource, device: str = "auto") -> TorchEngine:
        """Move the vectors to the GPU (or keep them, with ``device="cpu"`` or without a GPU)."""
        import torch

        on_gpu = torch.cuda.is_available() and device != "cpu"
        place = "cuda" if on_gpu else "cpu"
        size, dim = len(source), source.dim
        runs, width = -(-size // RUN), -(-(dim + 1) // _ALIGNED) * _ALIGNED
        vectors = torch.zeros((runs * RUN, width), device=place)
        vectors[size:, dim] = torch.inf
        for start, block in blocks(source):
            rows = vectors[start : start + len(block)]
            rows[:, :dim] = torch.from_numpy(block)
            rows[:, dim] = rows[:, :dim].square().sum(1)
        tile_bytes = TILE_BYTES[place]
        if on_gpu:
            tile_bytes = min(tile_bytes, int(SHARE_OF_GPU * torch.cuda.mem_get_info()[0]))
        return cls(f"torch-{place}", size, dim, tile_bytes, vectors.view(runs, RUN, width))

    max_effort = 0

    def set_effort(self, effort: int) -> None:
        """Nothing to set: the search is exact."""

    def search(self, queries: Vectors, k: int) -> NDArray[np.int64]:
        """See :class:`cooanalysis.neighbors.index.Engine`."""
        k = min(k, self.size)
        found = [np.empty((0, k), np.int64)]
        with single_precision():
            for rows in self._batches(len(queries)):
                factors = self._factors(queries[rows])
                minima = self._minima(factors)
                chosen = minima.topk(min(k, len(self._runs)), largest=False, sorted=False).indices
                found.append(self._nearest_in(chosen, factors, k))
        return np.concatenate(found)

    def nearest_within(
        self, queries: Vectors, k: int, limits: Vectors
    ) -> tuple[NDArray[np.int64], Vectors]:
        """See :class:`cooanalysis.neighbors.index.Engine`."""
        found = np.empty((len(queries), k), np.int64)
        distances = np.empty((len(queries), k), np.float32)
        limits = limits - np.einsum("qd,qd->q", queries, queries)
        with single_precision():
            for rows in self._batches(len(queries)):
                minima = self._minima(self._factors(queries[rows]))
                for row, smallest in zip(range(*rows.indices(len(queries))), minima, strict=True):
                    near = (smallest <= float(limits[row])).nonzero().squeeze(1)
                    found[row], distances[row] = self._in_order(near, queries[row], k)
        return found, distances

    def _batches(self, n: int) -> Iterator[slice]:
        """As many queries as fill a tile, and as there is memory for their minima."""
        runs = len(self._runs)
        step = max(1, self._tile_bytes // (4 * max(min(runs, TILE_RUNS) * RUN, 2 * runs)))
        return (slice(start, start + step) for start in range(0, n, step))

    def _factors(self, queries: Vectors) -> Any:
        """(q, width) factors that runs are multiplied with."""
        import torch

        factors = torch.zeros((len(queries), self._runs.shape[2]), device=self._runs.device)
        factors[:, : self.dim] = torch.from_numpy(np.ascontiguousarray(queries, np.float32))
        factors[:, : self.dim] *= -2.0
        factors[:, self.dim] = 1.0
        return factors

    def _minima(self, factors: Any) -> Any:
        """(q, runs) smallest distance in each run, without the query's norm."""
        import torch

        runs, _, width = self._runs.shape
        minima = torch.empty((runs, len(factors)), device=factors.device)
        for start in range(0, runs, TILE_RUNS):
            some = self._runs[start : start + TILE_RUNS]
            # Queries last: neighboring threads then reduce neighboring columns.
            tile = some.view(-1, width) @ factors.T
            torch.amin(tile.view(len(some), RUN, -1), 1, out=minima[start : start + TILE_RUNS])
        return minima.T.contiguous()

    def _nearest_in(self, chosen: Any, factors: Any, k: int) -> NDArray[np.int64]:
        """(q, k) row numbers of the nearest vectors in each query's chosen runs, in any order."""
        step = max(1, self._tile_bytes // (4 * chosen.shape[1] * RUN * self._runs.shape[2]))
        found = []
        for start in range(0, len(chosen), step):
            some = chosen[start : start + step]
            vectors = self._runs[some].flatten(1, 2)
            distance = (vectors @ factors[start : start + step, :, None]).squeeze(2)
            nearest = distance.topk(k, largest=False, sorted=False).indices
            found.append(_members(some).gather(1, nearest).cpu().numpy())
        return np.concatenate(found)

    def _in_order(self, runs: Any, query: Vectors, k: int) -> tuple[NDArray[np.int64], Vectors]:
        """The nearest vectors in some runs, with the distances of :func:`.vectors.rerank`."""
        import torch

        at = torch.from_numpy(np.ascontiguousarray(query, np.float32)).to(runs.device)
        best = torch.empty(0, dtype=torch.int64, device=runs.device)
        for some in runs.split(max(1, self._tile_bytes // (12 * RUN * self.dim))):
            vectors = self._runs[some][:, :, : self.dim].flatten(0, 1).T.contiguous()
            vectors -= at[:, None]
            vectors *= vectors
            # One value after the other, each sum rounded, like the compiled loop.
            total = vectors[0]
            for value in vectors[1:]:
                total += value
            rows = _members(some)
            total[rows >= self.size] = torch.inf
            # Distances are not negative, so their bits sort like their values; then by row.
            keys = (total.view(torch.int32).long() << 32) | rows
            keys = torch.cat([best, keys])
            best = keys.topk(min(k, len(keys)), largest=False).values
        distance = (best >> 32).int().view(torch.float32)
        return (best & 0xFFFFFFFF).cpu().numpy(), distance.cpu().numpy()


def _members(runs: Any) -> Any:
    """(..., c * RUN) row numbers of the vectors in (..., c) runs."""
    import torch

    return (runs[..., None] * RUN + torch.arange(RUN, device=runs.device)).flatten(-2)
