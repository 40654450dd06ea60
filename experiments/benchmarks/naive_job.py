"""The analysis as a straightforward script with NumPy, SciPy and scikit-learn.

    python -m experiments.benchmarks.naive_job --dataset sample --queries 500

All patches are cut out with sliding windows into float32 arrays, neighbors are searched by brute
force, and groups are measured one after the other. Nothing is slow on purpose: arrays are
allocated once, searches are single calls, and everything uses the library function that is made for
it. Images, their LR versions and bicubic outputs come from our reader, so that both jobs see the
same pixels. It measures less than ours: one feature space, two entropies and the PSNR ceiling, no
intervals, leakage check, classifier, maps or report.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray
from scipy.fft import dctn
from scipy.spatial import KDTree
from scipy.special import digamma, gammaln
from scipy.stats import differential_entropy
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from cooanalysis.data import LoadedPair, iter_pairs, resolve
from cooanalysis.measures.entropy import entropy_power
from cooanalysis.metrics.decibels import mse_to_psnr
from experiments.benchmarks.options import DataRoot

SCALE, WIDTH = 4, 5
SIZE = SCALE * WIDTH
STD_FLOOR = 2.0 / 255.0
SUBSPACE, SUBSPACE_SAMPLE = 24, 20_000
CLEAN, CLEAN_NEIGHBORS = 10_000, 5
CEILING_QUERIES = 1000

Floats = NDArray[np.float32]


def run(
    dataset: str,
    positions: str | None,
    n_queries: int,
    k: int,
    stride: int,
    data_root: str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Do the whole analysis, leaving each query's own image out.

    Parameters
    ----------
    dataset, data_root
        Data set or folder, and the folder of the data sets.
    positions
        A table with the columns image, y and x of the queries; None draws ``n_queries``.
    n_queries, k, stride, seed
        As in ``coo-analyze``.
    """
    rng = np.random.default_rng(seed)
    clock: dict[str, float] = {}
    start = time.perf_counter()
    found = resolve(dataset, scale=SCALE, data_root=None if data_root is None else Path(data_root))
    pairs = [each for each in iter_pairs(found, color="y") if isinstance(each, LoadedPair)]
    clock["load"] = time.perf_counter() - start

    start = time.perf_counter()
    features, details, std, image, corners = reference_patches(pairs, stride)
    clock["patches"] = time.perf_counter() - start

    start = time.perf_counter()
    if positions is None:
        query_image, query_y, query_x = draw(pairs, n_queries, rng)
    else:
        table = pd.read_parquet(positions, columns=["image", "y", "x"])
        number = {pair.name: i for i, pair in enumerate(pairs)}
        query_image = np.asarray(table["image"].map(number), np.int64)
        query_y, query_x = table["y"].to_numpy(np.int64), table["x"].to_numpy(np.int64)
    queries = [
        one_patch(pairs[i], y, x) for i, y, x in zip(query_image, query_y, query_x, strict=True)
    ]
    query_features = np.stack([each["features"] for each in queries])
    members = neighbors(features, query_features, k, image, query_image)
    clock["search"] = time.perf_counter() - start

    start = time.perf_counter()
    sample = rng.choice(len(details), min(SUBSPACE_SAMPLE, len(details)), replace=False)
    pca = PCA(details.shape[1]).fit(details[np.sort(sample)])
    with_ceiling = set(rng.choice(len(queries), min(CEILING_QUERIES, len(queries)), replace=False))
    rms, gaussian, nearest, floors, centers = [], [], [], [], []
    for query, rows in enumerate(members):
        group = details[rows]
        center = group.mean(axis=0)
        centers.append(center)
        rms.append(np.sqrt(np.mean((group - center) ** 2)))
        projected = pca.transform(group) if query in with_ceiling else None
        if projected is None:
            subspace = (group - pca.mean_) @ pca.components_[:SUBSPACE].T
        else:
            subspace = projected[:, :SUBSPACE]
            # Equal values have no density, and a floor of zero.
            with np.errstate(divide="ignore"):
                marginal = differential_entropy(projected, axis=0)
            floors.append(
                entropy_power(marginal).sum() / details.shape[1] * queries[query]["std"] ** 2
            )
        gaussian.append(gaussian_entropy(subspace))
        nearest.append(kozachenko_leonenko(subspace))
    clock["groups"] = time.perf_counter() - start

    start = time.perf_counter()
    chosen = np.sort(rng.choice(len(image), min(CLEAN, len(image)), replace=False))
    clean = np.stack([hr_patch(pairs[image[i]], *corners[i]) for i in chosen])
    bicubic = np.stack([each["bicubic"] for each in queries])
    outputs = bicubic + np.stack(centers) * np.array([each["std"] for each in queries])[:, None]
    stored = [np.rint(np.clip(each, 0.0, 1.0) * 255.0) / 255.0 for each in (outputs, bicubic)]
    sets = (np.stack([each["hr"] for each in queries]), *stored)
    distances = manifold_distances(clean, image[chosen], sets, query_image)
    clock["manifold"] = time.perf_counter() - start
    return {
        "seconds": clock,
        "reference patches": len(features),
        "entropy": float(np.median(gaussian)),
        "entropy, nearest neighbors": float(np.median(nearest)),
        "center RMS": float(np.median(rms)),
        "PSNR ceiling": mse_to_psnr(float(np.mean(floors))),
        "center / clean": float(distances[1] / distances[0]),
        "bicubic / clean": float(distances[2] / distances[0]),
    }


def reference_patches(
    pairs: list[LoadedPair], stride: int
) -> tuple[Floats, Floats, Floats, NDArray[np.int64], NDArray[np.int64]]:
    """LR features, details over contrast, contrasts, image numbers and corners of all patches."""
    counts = [
        len(range(0, pair.lr.shape[0] - WIDTH + 1, stride))
        * len(range(0, pair.lr.shape[1] - WIDTH + 1, stride))
        for pair in pairs
    ]
    total = sum(counts)
    features = np.empty((total, WIDTH**2), np.float32)
    details = np.empty((total, SIZE**2), np.float32)
    std = np.empty(total, np.float32)
    corners = np.empty((total, 2), np.int64)
    start = 0
    for pair, count in zip(pairs, counts, strict=True):
        rows = slice(start, start + count)
        lr = pair.lr[..., 0].astype(np.float32) / 255.0
        detail = (pair.hr[..., 0] - pair.upsampled[..., 0]) / np.float32(255.0)
        flat = windows(lr, WIDTH, stride)
        spread = np.maximum(flat.std(axis=1), STD_FLOOR)
        features[rows] = (flat - flat.mean(axis=1, keepdims=True)) / spread[:, None]
        details[rows] = windows(detail, SIZE, stride * SCALE) / spread[:, None]
        std[rows] = spread
        ys = np.arange(0, lr.shape[0] - WIDTH + 1, stride)
        xs = np.arange(0, lr.shape[1] - WIDTH + 1, stride)
        corners[rows] = np.stack(np.meshgrid(ys, xs, indexing="ij"), axis=-1).reshape(-1, 2)
        start += count
    return features, details, std, np.repeat(np.arange(len(pairs)), counts), corners


def windows(image: Floats, size: int, stride: int) -> Floats:
    """(n, size * size) all windows on a grid."""
    view = np.lib.stride_tricks.sliding_window_view(image, (size, size))[::stride, ::stride]
    return view.reshape(-1, size * size)


def draw(
    pairs: list[LoadedPair], n: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Image numbers and corners of random queries, the same number in every image."""
    image = np.sort(np.arange(n) % len(pairs))
    shapes = np.array([pair.lr.shape[:2] for pair in pairs])[image] - WIDTH + 1
    corner = (rng.random((n, 2)) * shapes).astype(np.int64)
    return image, corner[:, 0], corner[:, 1]


def hr_patch(pair: LoadedPair, y: int, x: int) -> Floats:
    """(size * size,) HR values in [0, 1]."""
    cut = pair.hr[y * SCALE : y * SCALE + SIZE, x * SCALE : x * SCALE + SIZE, 0]
    return cut.reshape(-1).astype(np.float32) / 255.0


def one_patch(pair: LoadedPair, y: int, x: int) -> dict[str, Any]:
    """Everything that is needed of one query."""
    lr = pair.lr[y : y + WIDTH, x : x + WIDTH, 0].reshape(-1).astype(np.float32) / 255.0
    up = pair.upsampled[y * SCALE : y * SCALE + SIZE, x * SCALE : x * SCALE + SIZE, 0]
    std = max(float(lr.std()), STD_FLOOR)
    return {
        "features": (lr - lr.mean()) / std,
        "std": std,
        "hr": hr_patch(pair, y, x),
        "bicubic": up.reshape(-1) / np.float32(255.0),
    }


def neighbors(
    features: Floats,
    queries: Floats,
    k: int,
    image: NDArray[np.int64],
    query_image: NDArray[np.int64],
) -> NDArray[np.int64]:
    """(q, k) nearest patches of other images; those of its own image are dropped."""
    model = NearestNeighbors(algorithm="brute").fit(features)
    found = np.empty((len(queries), k), np.int64)
    pending: NDArray[np.int64] = np.arange(len(queries), dtype=np.int64)
    fetch = k + k // 2
    while len(pending):
        fetch = min(fetch, len(features))
        near = model.kneighbors(queries[pending], fetch, return_distance=False)
        short = []
        for number, row in zip(pending, near, strict=True):
            others = row[image[row] != query_image[number]]
            if len(others) >= k:
                found[number] = others[:k]
            elif fetch == len(features):
                raise ValueError(f"fewer than {k} patches outside the query's image")
            else:
                short.append(number)
        pending, fetch = np.array(short, np.int64), 2 * fetch
    return found


def gaussian_entropy(points: Floats) -> float:
    """Nats per dimension of the Gaussian with this covariance, without the bias of few samples."""
    n, d = points.shape
    log_det = np.linalg.slogdet(np.cov(points.T))[1]
    bias = digamma((n - np.arange(1, d + 1)) / 2.0).sum() - d * np.log((n - 1) / 2.0)
    return float(0.5 * np.log(2.0 * np.pi * math.e) + 0.5 * (log_det - bias) / d)


def kozachenko_leonenko(points: Floats, k: int = 3) -> float:
    """Nats per dimension from the distances to the k-th neighbor."""
    n, d = points.shape
    distance = np.asarray(KDTree(points).query(points, k + 1)[0])[:, k]
    volume = 0.5 * d * np.log(np.pi) - gammaln(0.5 * d + 1.0)
    return float((digamma(n) - digamma(k) + volume) / d + np.mean(np.log(distance + 1e-12)))


def subband_features(patches: Floats) -> Floats:
    """Log energies of DCT subbands, five bands by three orientations, of normalized patches."""
    square = patches.reshape(-1, SIZE, SIZE)
    square = square - square.mean(axis=(1, 2), keepdims=True)
    square = square / np.maximum(square.std(axis=(1, 2), keepdims=True), STD_FLOOR)
    energy = dctn(square, axes=(1, 2), norm="ortho") ** 2
    column, row = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    band = np.searchsorted(
        np.geomspace(2.0 / SIZE, 1.0, 5), np.maximum(row, column) / SIZE, "right"
    )
    orientation = np.minimum((np.arctan2(row, column) / (np.pi / 2.0) * 3).astype(int), 2)
    bands = []
    for b in range(5):
        for o in range(3):
            inside = (band == b) & (orientation == o)
            inside[0, 0] = False
            if inside.any():
                bands.append(np.log(energy[:, inside].mean(axis=1) + 1e-3))
    return np.stack(bands, axis=1).astype(np.float32)


def manifold_distances(
    clean: Floats,
    clean_image: NDArray[np.int64],
    sets: tuple[Floats, ...],
    query_image: NDArray[np.int64],
) -> list[float]:
    """Mean distance of each set of patches to the nearest clean patches of other images."""
    features = subband_features(clean)
    whiten = PCA(whiten=True).fit(features)
    model = NearestNeighbors(algorithm="brute").fit(whiten.transform(features))
    fetch = min(len(clean), CLEAN_NEIGHBORS + int(np.bincount(clean_image).max()))
    means = []
    for patches in sets:
        distance, near = model.kneighbors(whiten.transform(subband_features(patches)), fetch)
        own = clean_image[near] == query_image[:, None]
        order = np.argsort(own, axis=1, kind="stable")[:, :CLEAN_NEIGHBORS]
        means.append(float(np.take_along_axis(distance, order, 1).mean()))
    return means


def main(
    dataset: Annotated[str, typer.Option(help="Data set or folder.")] = "sample",
    queries: Annotated[int, typer.Option(help="Query patches.")] = 5000,
    k: Annotated[int, typer.Option(help="Members of a group.")] = 128,
    stride: Annotated[int, typer.Option(help="Step between reference patches in LR pixels.")] = 2,
    data_root: DataRoot = None,
) -> None:
    """Run and print."""
    root = None if data_root is None else str(data_root)
    for name, value in run(dataset, None, queries, k, stride, root).items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    typer.run(main)
