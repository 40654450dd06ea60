"""Exact search in torch: for CUDA machines whose FAISS has no GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cooanalysis.neighbors.vectors import VectorSource, blocks

TILE_COLUMNS = 1 << 18
"""Vectors whose distances to a batch of queries are in memory at once."""

RUN = 32
"""Neighbouring columns whose smallest distance is looked at before the columns themselves."""

_TILE_BYTES = 1 << 30


@dataclass
class TorchEngine:
    """Exact candidates: tiles of the distance matrix by matrix product, merged top-k.

    Selecting the k smallest of a row costs several passes over it, many times the product
    itself when vectors are short. So each row is first reduced to the minima of runs of
    :data:`RUN` columns, which is one pass: its k smallest values lie in the k runs whose minima
    are smallest, and only those are looked into.

    Distances are computed in float32 with TensorFloat-32 switched off, so that neighbours are
    those of the other engines.

    Attributes
    ----------
    name
        ``"torch-cuda"`` or ``"torch-cpu"``.
    """

    name: str
    _vectors: Any
    _norms: Any

    @classmethod
    def build(cls, source: VectorSource, device: str = "auto") -> TorchEngine:
        """Move the vectors to the GPU (or keep them, with ``device="cpu"`` or without a GPU)."""
        import torch

        on_gpu = torch.cuda.is_available() and device != "cpu"
        vectors = torch.empty((len(source), source.dim), device="cuda" if on_gpu else "cpu")
        for start, block in blocks(source):
            vectors[start : start + len(block)] = torch.from_numpy(block)
        norms = torch.linalg.vecdot(vectors, vectors)
        return cls(f"torch-{'cuda' if on_gpu else 'cpu'}", vectors, norms)

    max_effort = 0

    def set_effort(self, effort: int) -> None:
        """Nothing to set: the search is exact."""

    def search(self, queries: NDArray[np.float32], k: int) -> NDArray[np.int64]:
        """See :class:`cooanalysis.neighbors.index.Engine`."""
        import torch

        size = len(self._vectors)
        k = min(k, size)
        before = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = False
        try:
            columns = min(size, TILE_COLUMNS)
            # A tile, and the candidates' copies of its runs.
            a_query = 4 * (columns + 3 * min(columns, k * RUN))
            rows = max(1, _TILE_BYTES // a_query)
            found = [
                self._nearest(
                    torch.from_numpy(np.ascontiguousarray(queries[start : start + rows])).to(
                        self._vectors.device
                    ),
                    k,
                    columns,
                )
                for start in range(0, len(queries), rows)
            ]
        finally:
            torch.backends.cuda.matmul.allow_tf32 = before
        return np.concatenate(found) if found else np.empty((0, k), np.int64)

    def _nearest(self, queries: Any, k: int, columns: int) -> NDArray[np.int64]:
        import torch

        size = len(self._vectors)
        distance = torch.empty((len(queries), 0), device=queries.device)
        index = torch.empty((len(queries), 0), dtype=torch.int64, device=queries.device)
        for start in range(0, size, columns):
            block = self._vectors[start : start + columns]
            # |q - v|^2 without the constant |q|^2, which does not change the order.
            tile = torch.addmm(self._norms[start : start + columns], queries, block.T, alpha=-2.0)
            tile_distance, tile_index = smallest(tile, min(k, len(block)))
            distance = torch.cat([distance, tile_distance], 1)
            index = torch.cat([index, tile_index + start], 1)
            if distance.shape[1] > k:
                distance, order = distance.topk(k, dim=1, largest=False)
                index = index.gather(1, order)
        return index.cpu().numpy()


def smallest(tile: Any, k: int) -> tuple[Any, Any]:
    """The ``k`` smallest values of each row and their columns, in any order.

    Parameters
    ----------
    tile
        (rows, columns) tensor.
    k
        At most the number of columns.

    Returns
    -------
    tuple of torch.Tensor
        (rows, k) values, (rows, k) columns.
    """
    import torch

    rows, columns = tile.shape
    runs = columns // RUN
    if runs < 4 * k:
        return tile.topk(k, dim=1, largest=False)
    whole = runs * RUN
    shaped = tile[:, :whole].reshape(rows, runs, RUN)
    chosen = shaped.amin(2).topk(k, dim=1, largest=False).indices
    values = shaped.gather(1, chosen[:, :, None].expand(-1, -1, RUN)).reshape(rows, -1)
    place = (chosen[:, :, None] * RUN + torch.arange(RUN, device=tile.device)).reshape(rows, -1)
    if whole < columns:
        values = torch.cat([values, tile[:, whole:]], 1)
        rest = torch.arange(whole, columns, device=tile.device)
        place = torch.cat([place, rest.expand(rows, -1)], 1)
    values, order = values.topk(k, dim=1, largest=False)
    return values, place.gather(1, order)
