"""Exact search in torch: for CUDA machines whose FAISS has no GPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cooanalysis.neighbors.index import Neighbours

_TILE_BYTES = 1 << 30


@dataclass
class TorchIndex:
    """Exact index: tiles of the distance matrix by matrix product, merged top-k.

    Distances are computed in float32 with TensorFloat-32 switched off, so that neighbours
    are those of the other engines (ties and last-digit differences aside).
    """

    engine: str
    kind: str
    size: int
    _vectors: Any
    _norms: Any

    @classmethod
    def build(cls, vectors: NDArray[np.float32], device: str = "auto") -> TorchIndex:
        """Move the vectors to the GPU (or keep them, with ``device="cpu"`` or without a GPU)."""
        import torch

        on_gpu = torch.cuda.is_available() and device != "cpu"
        tensor = torch.from_numpy(vectors).to("cuda" if on_gpu else "cpu")
        return cls(
            f"torch-{'cuda' if on_gpu else 'cpu'}",
            "exact",
            len(vectors),
            tensor,
            (tensor * tensor).sum(1),
        )

    def set_effort(self, effort: int) -> None:
        """Nothing to set: the search is exact."""

    def search(self, queries: NDArray[np.float32], k: int) -> Neighbours:
        """See :class:`cooanalysis.neighbors.NeighborIndex`."""
        import torch

        k = min(k, self.size)
        before = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = False
        try:
            # A tile holds (queries x vectors) distances within the byte budget.
            columns = min(self.size, 1 << 18)
            rows = max(1, _TILE_BYTES // (4 * columns * 3))
            parts = [
                self._search_tile(
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
        if not parts:
            return Neighbours(np.empty((0, k), np.int64), np.empty((0, k), np.float32))
        return Neighbours(
            np.concatenate([index for index, _ in parts]),
            np.concatenate([distance for _, distance in parts]),
        )

    def _search_tile(
        self, queries: Any, k: int, columns: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        import torch

        best_distance = torch.empty((len(queries), 0), device=queries.device)
        best_index = torch.empty((len(queries), 0), dtype=torch.int64, device=queries.device)
        for start in range(0, self.size, columns):
            block = self._vectors[start : start + columns]
            # |q - v|^2 without the constant |q|^2, which does not change the order.
            tile = torch.addmm(self._norms[start : start + columns], queries, block.T, alpha=-2.0)
            distance, index = tile.topk(min(k, len(block)), dim=1, largest=False)
            best_distance = torch.cat([best_distance, distance], 1)
            best_index = torch.cat([best_index, index + start], 1)
            if best_distance.shape[1] > k:
                best_distance, order = best_distance.topk(k, dim=1, largest=False)
                best_index = best_index.gather(1, order)
        best_distance, order = best_distance.sort(dim=1)
        best_index = best_index.gather(1, order)
        best_distance = best_distance + (queries * queries).sum(1, keepdim=True)
        return (
            best_index.cpu().numpy(),
            best_distance.clamp_min(0.0).to(torch.float32).cpu().numpy(),
        )
