"""The analysis as one object: plan → run → result.

Data flows one way: images → patches → neighbours → groups → measures → summary. Each step
is a method that takes what the step before it made; long ones work in shards that are kept
as checkpoints, so that an interrupted run resumes.
"""

from __future__ import annotations

import datetime as dt
import math
import time
import warnings as python_warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cooanalysis import entropy as estimators
from cooanalysis.config import AnalysisConfig
from cooanalysis.data import Dataset, LoadedPair, SkippedImage, iter_pairs, resolve
from cooanalysis.data.leakage import Leak, duplicate_images, shared_patches
from cooanalysis.data.patches import Patches, PatchStore
from cooanalysis.environment import peak_rss_bytes, versions
from cooanalysis.errors import ImageError, NotEnoughDataError
from cooanalysis.manifold import CleanManifold, feature_space, two_sample_auc
from cooanalysis.neighbors import (
    NeighborIndex,
    Recall,
    available_engine,
    build_index,
    exact_search,
    fit_kmeans,
    recall_at_k,
    search_excluding,
    tune_to_recall,
)
from cooanalysis.progress import Progress, Silent, Stopwatch
from cooanalysis.result import SCHEMA_VERSION, ExampleGroup, Result
from cooanalysis.rundir import Arrays, Checkpoints
from cooanalysis.stats import MIN_IMAGES
from cooanalysis.summary import (
    FeatureSpaceDistances,
    LabelledScores,
    Measured,
    entropy_column,
    summarise,
)

if TYPE_CHECKING:
    import pandas as pd

SEARCH_SHARD = 4096
GROUP_SHARD = 1024
SUBSPACE_SAMPLE = 20_000
TUNING_QUERIES = 256
RECALL_QUERIES = 512
TWO_SAMPLE_QUERIES = 4000
MAP_PATCHES = 1500
EXAMPLES = 4
EXAMPLE_MEMBERS = 8
EXAMPLE_CONTRAST = 8.0 / 255.0
"""Example groups are shown only from this LR contrast on, so that there is something to see."""


@dataclass(frozen=True)
class Study:
    """A planned analysis: the configuration and the images that it will use.

    Make one with :meth:`plan`; :meth:`run` does the work.

    Attributes
    ----------
    config
        What is asked.
    queries, reference
        The data sets; the same object when the data set is its own reference.
    notes
        Warnings from finding the data.
    """

    config: AnalysisConfig
    queries: Dataset
    reference: Dataset
    notes: tuple[str, ...] = ()

    @classmethod
    def plan(
        cls,
        config: AnalysisConfig,
        *,
        data_root: str | Path | None = None,
        download: bool = True,
        progress: bool = False,
    ) -> Study:
        """Find the data and check that the engine can run, before any work is done.

        Raises
        ------
        DatasetNotFoundError, DownloadError
            If a data set is not there and cannot be downloaded.
        MissingDependencyError
            If the engine asked for cannot run here.
        """
        available_engine(config.engine, config.device)
        options: dict[str, Any] = {
            "scale": config.scale, "data_root": data_root, "download": download,
            "progress": progress,
        }  # fmt: skip
        with python_warnings.catch_warnings(record=True) as caught:
            python_warnings.simplefilter("always")
            queries = resolve(config.dataset, **options)
            reference = queries
            if config.reference is not None:
                reference = resolve(config.reference, **options)
                if reference.pairs == queries.pairs:
                    reference = queries
        notes = tuple(str(w.message) for w in caught if issubclass(w.category, UserWarning))
        return cls(config, queries, reference, notes)

    @property
    def same_reference(self) -> bool:
        """Whether the data set is its own reference (then leave-image-out)."""
        return self.reference is self.queries

    def fingerprint(self) -> str:
        """Hash of the configuration and of the files (names, sizes, times of change)."""
        contents = []
        for dataset in (self.queries, self.reference):
            for pair in dataset.pairs:
                for path in (pair.hr_path, pair.lr_path):
                    if path is not None and path.exists():
                        state = path.stat()
                        contents.append(f"{path.resolve()}:{state.st_size}:{state.st_mtime_ns}")
        installed = versions()
        return self.config.fingerprint(
            installed.get("cooanalysis", ""), str(SCHEMA_VERSION), *contents
        )

    def run(
        self, *, progress: Progress | None = None, checkpoints: Checkpoints | None = None
    ) -> Result:
        """Do the analysis.

        Parameters
        ----------
        progress
            Where to report; silent by default.
        checkpoints
            Where finished pieces are kept, see :func:`cooanalysis.rundir.checkpoints`.

        Raises
        ------
        NotEnoughDataError
            If the images hold too little for what was asked.
        ImageError
            With ``strict``, at the first image that cannot be used.
        """
        return _Run(self, progress or Silent(), checkpoints or Checkpoints()).result()


@dataclass(frozen=True)
class _Loaded:
    """Both patch stores, and the files that could not be used."""

    queries: PatchStore
    reference: PatchStore
    skipped: list[SkippedImage]


@dataclass(frozen=True)
class _Reference:
    """Everything about the reference patches that later steps need."""

    patches: Patches
    features: NDArray[np.float32]
    std: NDArray[np.float32]
    basis: NDArray[np.float32]  # (patch_dim, patch_dim): all principal axes, leading first
    projected: NDArray[np.float32]  # (n, subspace_dim)


@dataclass(frozen=True)
class _Queries:
    """Query patches with their LR features."""

    patches: Patches
    features: NDArray[np.float32]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.patches)

    def __getitem__(self, which: Any) -> _Queries:
        return _Queries(
            self.patches[which], self.features[which], self.mean[which], self.std[which]
        )


class _Grouping:
    """Finds the members of potential-HR groups: nearest neighbours or k-means cells."""

    def __init__(self, run: _Run, reference: _Reference, n_queries: int) -> None:
        self._run = run
        self._reference = reference
        config = run.config
        self.index: NeighborIndex | None = None
        self.effort: int | None = None
        if config.grouping == "knn":
            self.index = build_index(
                reference.features,
                kind=config.index,
                engine=config.engine,
                device=config.device,
                n_queries=n_queries,
                seed=config.seed,
            )
        else:
            features = self._cell_features(
                reference.features, reference.projected.astype(np.float32)
            )
            n_cells = config.clusters or max(2, len(features) // (4 * config.k))
            self.cells = fit_kmeans(features, n_cells, seed=config.seed)

    def _cell_features(
        self, lr: NDArray[np.float32], detail: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """HR patches as vectors: an LR value stands for scale x scale pixels, and the detail
        is described by its leading components; the two are close to orthogonal."""
        return np.ascontiguousarray(np.hstack([lr * self._run.config.scale, detail]), np.float32)

    def tune(self, queries: _Queries, excluded: NDArray[np.bool_]) -> Recall | None:
        """Tune an approximate index on some queries and measure its recall on others."""
        if self.index is None:
            return None
        config = self._run.config
        rng = np.random.default_rng((config.seed, 3))
        order = rng.permutation(len(queries))
        tuning = queries.features[order[:TUNING_QUERIES]]
        if self.index.kind == "exact":
            return Recall(1.0, 1.0, 1.0, 0)
        # A little above the target, so that chance in the tuning sample does not miss it.
        goal = min(1.0, config.recall + 0.2 * (1.0 - config.recall))
        vectors = self._reference.features
        self.effort = tune_to_recall(self.index, vectors, tuning, config.k, goal)
        rest = order[TUNING_QUERIES : TUNING_QUERIES + RECALL_QUERIES]
        chosen = rest if len(rest) >= 50 else order
        sample = queries[np.sort(chosen)]
        exact = exact_search(sample.features, vectors, config.k)
        found = self.index.search(sample.features, config.k)
        return recall_at_k(found.index, exact.index)

    def members(
        self, queries: _Queries, excluded: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(q, k) reference rows, and the RMS distance of the farthest in LR features."""
        config = self._run.config
        reference = self._reference
        images = reference.patches.image
        if self.index is not None:
            found = search_excluding(
                self.index, queries.features, config.k, queries.patches.image, images, excluded,
                vectors=reference.features,
            )  # fmt: skip
            dim = reference.features.shape[1]
            return found.index, np.sqrt(found.squared_distances[:, -1] / dim)
        store = self._run.loaded.queries
        detail = store.details(queries.patches) / queries.std[:, None]
        features = self._cell_features(
            queries.features, (detail @ self._subspace()).astype(np.float32)
        )
        drawn = self.cells.members(
            self.cells.assign(features), config.k,
            np.stack([queries.patches.image, queries.patches.y, queries.patches.x], axis=1),
            queries.patches.image, images, excluded, seed=config.seed,
        )  # fmt: skip
        farthest = np.zeros(len(queries), np.float32)
        for row, members in enumerate(drawn):
            if members[0] >= 0:
                difference = reference.features[members] - queries.features[row]
                farthest[row] = np.sqrt((difference**2).mean(1).max())
        return drawn, farthest

    def _subspace(self) -> NDArray[np.float32]:
        return self._reference.basis[:, : self._reference.projected.shape[1]]


class _Run:
    """One run of a study; holds what the steps share and nothing else."""

    def __init__(self, study: Study, progress: Progress, checkpoints: Checkpoints) -> None:
        self.study = study
        self.config = study.config
        self.progress = progress
        self.checkpoints = checkpoints
        self.clock = Stopwatch()
        self.warnings: list[str] = list(study.notes)
        self.loaded: _Loaded

    # -- the whole --------------------------------------------------------------------------

    def result(self) -> Result:
        started = time.perf_counter()
        config = self.config
        with self.clock.time("load"):
            self.loaded = self._load()
        with self.clock.time("leakage"):
            leaks = duplicate_images(self.loaded.queries, self.loaded.reference)
            if self.study.same_reference:
                leaks = [leak for leak in leaks if leak.query != leak.reference]
        with self.clock.time("patches"):
            reference = self._reference()
            queries = self._sample_queries()
        excluded = self._excluded(leaks)
        with self.clock.time("index"):
            self.progress.start("building the index", 1)
            grouping = _Grouping(self, reference, len(queries))
            recall = grouping.tune(queries, excluded)
            self.progress.advance()
        members, distance, leaks = self._group(grouping, reference, queries, excluded, leaks)
        excluded = self._excluded(leaks)
        queries, members, distance = self._drop_small(queries, members, distance)
        measures = self._measure("groups", reference, queries, members)
        table = self._table(queries, distance, measures)
        with self.clock.time("ceiling"):
            table |= self._floors(reference, queries, members)
        manifold, tests = self._manifold(queries, measures["center_patch"], excluded, table)
        maps, images = self._maps(grouping, reference, table, excluded)
        with self.clock.time("summary"):
            examples = self._examples(reference, queries, members, measures, table)
            if len(np.unique(queries.patches.image)) < MIN_IMAGES:
                self.warnings.append(
                    f"fewer than {MIN_IMAGES} images: intervals come from single patches, which resemble each "
                    "other, and are too narrow"
                )
            reliability = self._reliability(
                reference, members, table[entropy_column(config.estimators[0])]
            )
            summary = summarise(
                Measured(
                    config, table, manifold, tests, reliability, recall,
                    reference.projected.shape[1], self.loaded.reference.patch_dim,
                )  # fmt: skip
            )
        ceiling = summary["psnr_ceiling_db"]
        if ceiling["value"] is not None and not ceiling["trusted"]:
            self.warnings.append(f"the PSNR ceiling is not to be trusted here: {ceiling['reason']}")
        groups = self._frame(table)
        self.clock.seconds["total"] = time.perf_counter() - started
        summary |= self._provenance(grouping, reference, leaks)
        return Result(summary, groups, maps, tuple(examples), images)

    # -- images and patches -----------------------------------------------------------------

    def _load(self) -> _Loaded:
        skipped: list[SkippedImage] = []
        datasets = [self.study.queries]
        if not self.study.same_reference:
            datasets.append(self.study.reference)
        self.progress.start("loading images", sum(len(d.pairs) for d in datasets))
        stores = []
        for dataset in datasets:
            try:
                stores.append(
                    PatchStore.from_pairs(
                        self._usable(dataset, skipped),
                        scale=self.config.scale,
                        width=self.config.patch_width,
                    )
                )
            except NotEnoughDataError as error:
                reason = f": {skipped[0].reason}" if skipped else ""
                raise NotEnoughDataError(f"data set {dataset.name!r}: {error}{reason}") from error
        if skipped:
            self.warnings.append(
                f"{len(skipped)} image files were skipped; the summary lists them with the reason"
            )
        return _Loaded(stores[0], stores[-1], skipped)

    def _usable(self, dataset: Dataset, skipped: list[SkippedImage]) -> Iterator[LoadedPair]:
        for item in iter_pairs(dataset, colour=self.config.colour, strict=self.config.strict):
            self.progress.advance()
            if isinstance(item, LoadedPair):
                height, width, _ = item.lr.shape
                if min(height, width) >= self.config.patch_width:
                    yield item
                    continue
                path = next(p.hr_path for p in dataset.pairs if p.name == item.name)
                item = SkippedImage(
                    item.name,
                    path,
                    f"{path} is too small: {width}x{height} LR pixels hold no patch of "
                    f"{self.config.patch_width}x{self.config.patch_width}",
                )
                if self.config.strict:
                    raise ImageError(item.reason)
            skipped.append(item)

    def _reference(self) -> _Reference:
        store = self.loaded.reference
        patches = store.grid(self.config.stride)
        features, _, std = store.lr_patches(patches, normalise=self.config.normalise)
        rng = np.random.default_rng((self.config.seed, 1))
        size = min(len(patches), SUBSPACE_SAMPLE)
        chosen = np.sort(rng.choice(len(patches), size=size, replace=False))
        sample = store.details(patches[chosen]) / std[chosen, None]
        covariance = (sample.T @ sample).astype(np.float64) / size
        basis = np.ascontiguousarray(np.linalg.eigh(covariance)[1][:, ::-1], np.float32)
        leading = np.ascontiguousarray(basis[:, : self._subspace_dim()])
        projected = np.empty((len(patches), leading.shape[1]), np.float32)
        steps = range(0, len(patches), 8192)
        self.progress.start("projecting details", len(steps))
        for start in steps:
            rows = slice(start, start + 8192)
            projected[rows] = store.details(patches[rows]) @ leading / std[rows, None]
            self.progress.advance()
        return _Reference(patches, features, std, basis, projected)

    def _subspace_dim(self) -> int:
        return min(self.config.subspace_dim, self.loaded.reference.patch_dim)

    def _sample_queries(self) -> _Queries:
        store = self.loaded.queries
        rng = np.random.default_rng((self.config.seed, 2))
        patches = store.sample(self.config.queries, rng)
        if len(patches) < self.config.queries:
            self.warnings.append(
                f"the images hold only {len(patches)} distinct query patches; all of them are used"
            )
        return self._describe(patches)

    def _describe(self, patches: Patches) -> _Queries:
        features, mean, std = self.loaded.queries.lr_patches(
            patches, normalise=self.config.normalise
        )
        return _Queries(patches, features, mean, std)

    def _excluded(self, leaks: list[Leak]) -> NDArray[np.bool_]:
        shape = (len(self.loaded.queries.names), len(self.loaded.reference.names))
        excluded = np.zeros(shape, np.bool_)
        if self.study.same_reference:
            np.fill_diagonal(excluded, True)
        if self.config.exclude_leaks:
            for leak in leaks:
                excluded[leak.query, leak.reference] = True
        return excluded

    # -- groups -----------------------------------------------------------------------------

    def _group(
        self,
        grouping: _Grouping,
        reference: _Reference,
        queries: _Queries,
        excluded: NDArray[np.bool_],
        leaks: list[Leak],
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], list[Leak]]:
        with self.clock.time("search"):
            members, distance = self._members("search", grouping, queries, excluded)
        if grouping.index is None:
            return members, distance, leaks
        with self.clock.time("leakage"):
            known = {(leak.query, leak.reference) for leak in leaks}
            found = shared_patches(
                self.loaded.queries,
                queries.patches,
                queries.std if self.config.normalise else queries.features.std(1),
                self.loaded.reference,
                reference.patches[members[:, 0]],
            )
            new = [leak for leak in found if (leak.query, leak.reference) not in known]
        if new and self.config.exclude_leaks:
            leaks = [*leaks, *new]
            with self.clock.time("search"):
                rows = np.isin(queries.patches.image, [leak.query for leak in new])
                members[rows], distance[rows] = self._members(
                    "search-again", grouping, queries[rows], self._excluded(leaks)
                )
        else:
            leaks = [*leaks, *new]
        return members, distance, leaks

    def _members(
        self,
        name: str,
        grouping: _Grouping,
        queries: _Queries,
        excluded: NDArray[np.bool_],
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        self.progress.start("finding potential-HR groups", len(queries))
        parts: list[Arrays] = []
        for number, start in enumerate(range(0, len(queries), SEARCH_SHARD)):
            shard = queries[slice(start, start + SEARCH_SHARD)]

            def compute(shard: _Queries = shard) -> Arrays:
                index, distance = grouping.members(shard, excluded)
                return {"index": index.astype(np.int32), "distance": distance}

            parts.append(self.checkpoints.load_or_compute(f"{name}-{number:05d}", compute))
            self.progress.advance(len(shard))
        index = np.concatenate([part["index"] for part in parts]).astype(np.int64)
        return index, np.concatenate([part["distance"] for part in parts])

    def _drop_small(
        self, queries: _Queries, members: NDArray[np.int64], distance: NDArray[np.float32]
    ) -> tuple[_Queries, NDArray[np.int64], NDArray[np.float32]]:
        full = members[:, 0] >= 0
        if not full.any():
            raise NotEnoughDataError(
                f"no k-means cell has k = {self.config.k} members outside the query's own image; "
                "use fewer clusters, a smaller k or a larger reference set"
            )
        if not full.all():
            self.warnings.append(
                f"{int((~full).sum())} of {len(full)} queries fell into k-means cells with fewer than "
                f"k = {self.config.k} usable members and were left out"
            )
        return queries[full], members[full], distance[full]

    def _measure(
        self,
        name: str,
        reference: _Reference,
        queries: _Queries,
        members: NDArray[np.int64],
        methods: tuple[str, ...] | None = None,
    ) -> Arrays:
        """Center, spread and entropies of every group."""
        methods = methods or self.config.estimators
        self.progress.start("measuring groups", len(queries))
        parts: list[Arrays] = []
        for number, start in enumerate(range(0, len(queries), GROUP_SHARD)):
            rows = slice(start, start + GROUP_SHARD)

            def compute(rows: slice = rows) -> Arrays:
                return self._measure_shard(reference, queries[rows], members[rows], methods)

            parts.append(self.checkpoints.load_or_compute(f"{name}-{number:05d}", compute))
            self.progress.advance(len(queries.std[rows]))
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}

    def _measure_shard(
        self,
        reference: _Reference,
        queries: _Queries,
        members: NDArray[np.int64],
        methods: tuple[str, ...],
    ) -> Arrays:
        with self.clock.time("centers"):
            moments = self.loaded.reference.group_centers(
                reference.patches, members, 1.0 / reference.std
            )
            truth = self.loaded.queries.details(queries.patches)
            hr = self.loaded.queries.hr_patches(queries.patches)
            estimate = hr - truth + moments.center * queries.std[:, None]
            truth = truth / queries.std[:, None]
            subspace = reference.projected[members]
            spread = subspace - subspace.mean(axis=1, keepdims=True)
            out: Arrays = {
                "center_rms": moments.rms_distance,
                "center_min": moments.min_distance,
                "center_error": np.sqrt(((moments.center - truth) ** 2).mean(1)),
                "center_rms_subspace": np.sqrt((spread**2).mean(axis=(1, 2))),
                "center_energy": (moments.center**2).mean(1),
                "truth_energy": (truth**2).mean(1),
                "member_energy": moments.member_energy,
                # As a model's output would be stored: 8 bits.
                "center_patch": np.rint(np.clip(estimate, 0.0, 1.0) * 255.0).astype(np.uint8),
            }
        for method in methods:
            with self.clock.time(f"entropy {method}"):
                out[f"entropy_{method}"] = estimators.entropy(subspace, method)
        return out

    def _table(self, queries: _Queries, distance: NDArray[np.float32], measures: Arrays) -> Arrays:
        """Columns of ``groups``, still as arrays; images as numbers."""
        table: Arrays = {
            "image": queries.patches.image,
            "y": queries.patches.y,
            "x": queries.patches.x,
            "lr_mean": queries.mean,
            "lr_std": queries.std,
            "neighbour_distance": distance,
        }
        for method in self.config.estimators:
            column = entropy_column(method)
            values = measures[f"entropy_{method}"]
            table[column] = values
            table[column.replace("entropy_", "entropy_abs_", 1)] = values + np.log(queries.std.astype(np.float64))
        skip = {"center_patch"}
        table |= {
            key: values
            for key, values in measures.items()
            if key not in skip and not key.startswith("entropy_")
        }
        return table

    def _floors(
        self, reference: _Reference, queries: _Queries, members: NDArray[np.int64]
    ) -> Arrays:
        """Floor of the mean squared error from the entropies along all principal axes.

        Once with all members and once with the nearer half: groups of nearer LR patches mix
        less, so the difference says how much the groups' width matters.
        """
        rng = np.random.default_rng((self.config.seed, 4))
        size = min(self.config.ceiling_queries, len(queries))
        chosen = np.sort(rng.choice(len(queries), size=size, replace=False))
        store = self.loaded.reference
        step = max(1, 4_000_000 // (self.config.k * store.patch_dim))
        starts = range(0, size, step)
        self.progress.start("bounding the error", len(starts))

        def compute() -> Arrays:
            floors = np.empty((2, size))
            for start in starts:
                rows = chosen[start : start + step]
                flat = members[rows].ravel()
                details = store.details(reference.patches[flat]) / reference.std[flat, None]
                axes = (details @ reference.basis).reshape(len(rows), self.config.k, -1)
                for part, used in enumerate((axes, axes[:, : self.config.k // 2])):
                    floors[part, start : start + step] = estimators.marginal_mmse_floor(
                        estimators.marginal_entropies(used), store.patch_dim
                    )
                self.progress.advance()
            return {"floors": floors}

        floors = self.checkpoints.load_or_compute("ceiling", compute)["floors"]
        unit = queries.std[chosen].astype(np.float64) ** 2
        out: Arrays = {}
        for name, values in zip(("mmse_floor", "mmse_floor_half_k"), floors, strict=True):
            out[name] = np.full(len(queries), np.nan)
            out[name][chosen] = values * unit
        return out

    # -- manifold ---------------------------------------------------------------------------

    def _manifold(
        self,
        queries: _Queries,
        center_patch: NDArray[np.uint8],
        excluded: NDArray[np.bool_],
        table: Arrays,
    ) -> tuple[dict[str, FeatureSpaceDistances], dict[str, LabelledScores]]:
        """Calibrated distances per feature space, written into ``table``; two-sample tests."""
        with self.clock.time("manifold"):
            rng = np.random.default_rng((self.config.seed, 5))
            store = self.loaded.reference
            clean = store.sample(self.config.manifold_reference, rng)
            clean_patches = self._square(store.hr_patches(clean))
            sets = self._patch_sets(queries, center_patch)
            image = queries.patches.image
            half = rng.permutation(len(queries)) % 2 == 0
            spaces: dict[str, FeatureSpaceDistances] = {}
            self.progress.start("measuring the clean manifold", 3 * len(self.config.features))
            for name in self.config.features:
                space = feature_space(name)
                reason = space.missing()
                if reason is not None:
                    spaces[name] = FeatureSpaceDistances(space.title, None, {}, half, reason)
                    self.warnings.append(f"feature space {name!r} was left out: {reason}")
                    continue

                def compute(space: Any = space) -> Arrays:
                    manifold = CleanManifold.fit(
                        clean_patches, space, clean.image,
                        engine=self.config.engine, device=self.config.device,
                    )  # fmt: skip
                    distances = {}
                    for kind, patches in sets.items():
                        distances[kind] = manifold.distance(self._square(patches), image, excluded)
                        self.progress.advance()
                    return distances

                distances = self.checkpoints.load_or_compute(f"manifold-{name}", compute)
                spaces[name] = FeatureSpaceDistances(space.title, space.warning, distances, half)
                scale = float(distances["clean"].mean())
                for kind, values in distances.items():
                    table[f"manifold_{name}_{kind}"] = values / scale
        with self.clock.time("two-sample test"):
            tests = self._two_sample(queries, sets)
        return spaces, tests

    def _patch_sets(
        self, queries: _Queries, center_patch: NDArray[np.uint8]
    ) -> dict[str, NDArray[np.float32]]:
        """Clean, center and bicubic HR patches of the queries: (n, patch_dim) in [0, 1]."""
        hr = self.loaded.queries.hr_patches(queries.patches)
        bicubic = hr - self.loaded.queries.details(queries.patches)
        return {
            "clean": hr,
            "center": center_patch.astype(np.float32) / 255.0,
            "bicubic": np.rint(np.clip(bicubic, 0.0, 1.0) * 255.0) / np.float32(255.0),
        }

    def _square(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        size = self.loaded.reference.patch_size
        return rows.reshape(len(rows), size, size, -1)

    def _two_sample(
        self, queries: _Queries, sets: dict[str, NDArray[np.float32]]
    ) -> dict[str, LabelledScores]:
        rng = np.random.default_rng((self.config.seed, 6))
        size = min(TWO_SAMPLE_QUERIES, len(queries))
        chosen = np.sort(rng.choice(len(queries), size=size, replace=False))
        image = queries.patches.image[chosen]
        if len(np.unique(image)) < 2:
            self.warnings.append("the two-sample test needs at least two images and was left out")
            return {}
        features = {
            kind: feature_space("subbands").function(self._square(rows[chosen]))
            for kind, rows in sets.items()
        }
        # Halves balanced within every image: otherwise the folds' class shares give images away.
        shuffled = np.lexsort((rng.random(size), image))
        half = np.empty(size, np.bool_)
        half[shuffled] = np.arange(size) % 2 == 0
        everyone = np.ones(size, np.bool_)
        pairs = {
            "center": ("center", everyone, everyone),
            "bicubic": ("bicubic", everyone, everyone),
            "clean_null": ("clean", half, ~half),
        }
        tests = {}
        for name, (kind, first, second) in pairs.items():
            test = two_sample_auc(
                features["clean"][first], features[kind][second], image[first], image[second],
                seed=self.config.seed,
            )  # fmt: skip
            images = np.concatenate([image[first], image[second]])
            tests[name] = LabelledScores(test.scores, test.labels, images)
        return tests

    # -- pictures ---------------------------------------------------------------------------

    def _maps(
        self,
        grouping: _Grouping,
        reference: _Reference,
        table: Arrays,
        excluded: NDArray[np.bool_],
    ) -> tuple[pd.DataFrame, dict[str, NDArray[np.uint8]]]:
        """Dense entropies of the images with the lowest, middle and highest mean entropy."""
        import pandas as pd

        store = self.loaded.queries
        method = self.config.estimators[0]
        column = entropy_column(method)
        columns = ("entropy", "entropy_abs", "center_rms", "center_energy")
        empty = {name: np.empty(0) for name in ("y", "x", *columns)}
        frames = [pd.DataFrame({"image": np.empty(0, np.str_), **empty})]
        images: dict[str, NDArray[np.uint8]] = {}
        totals = np.bincount(table["image"], table[column], len(store.names))
        counts = np.bincount(table["image"], minlength=len(store.names))
        present = np.flatnonzero(counts)
        ranked = present[np.argsort(totals[present] / counts[present], kind="stable")]
        n_maps = min(self.config.map_images, len(ranked))
        places = np.unique(np.linspace(0, len(ranked) - 1, n_maps).round().astype(int))
        with self.clock.time("maps"):
            for number in ranked[places]:
                area = (store.heights[number]) * store.widths[number]
                step = max(1, math.ceil(math.sqrt(area / MAP_PATCHES)))
                queries = self._describe(store.grid(step, [int(number)]))
                members, distance = self._members(f"map-{number}", grouping, queries, excluded)
                full = members[:, 0] >= 0
                if not full.any():
                    continue
                queries, members = queries[full], members[full]
                measured = self._measure(
                    f"map-groups-{number}", reference, queries, members, (method,)
                )
                name = store.names[number]
                values = measured[f"entropy_{method}"]
                frames.append(
                    pd.DataFrame(
                        {
                            "image": np.full(len(values), name),
                            "y": queries.patches.y,
                            "x": queries.patches.x,
                            "entropy": values,
                            "entropy_abs": values + np.log(queries.std.astype(np.float64)),
                            "center_rms": measured["center_rms"],
                            "center_energy": measured["center_energy"],
                        }
                    )
                )
                images[name] = store.hr_image(int(number)).copy()
        kept = frames[1:] or frames
        return pd.concat(kept, ignore_index=True), images

    def _examples(
        self,
        reference: _Reference,
        queries: _Queries,
        members: NDArray[np.int64],
        measures: Arrays,
        table: Arrays,
    ) -> list[ExampleGroup]:
        """Groups with the highest and lowest entropy, at most one an image and kind."""
        entropy = measures[f"entropy_{self.config.estimators[0]}"]
        contrast = (
            queries.std if self.config.normalise else queries.features.std(axis=1)
        ) >= EXAMPLE_CONTRAST
        order = np.argsort(entropy, kind="stable")
        order = order[contrast[order] & np.isfinite(entropy[order])]
        examples = []
        for kind, ranked in (("highest", order[::-1]), ("lowest", order)):
            seen: set[int] = set()
            for row in ranked:
                if (number := int(queries.patches.image[row])) in seen:
                    continue
                seen.add(number)
                examples.append(self._example(int(row), kind, reference, queries, members, measures))
                if len(seen) == EXAMPLES:
                    break
        return examples

    def _example(
        self,
        row: int,
        kind: str,
        reference: _Reference,
        queries: _Queries,
        members: NDArray[np.int64],
        measures: Arrays,
    ) -> ExampleGroup:
        store = self.loaded.queries
        one = queries.patches[np.array([row])]
        hr = store.hr_patches(one)
        bicubic = hr - store.details(one)
        shown = members[row, :: max(1, self.config.k // EXAMPLE_MEMBERS)][:EXAMPLE_MEMBERS]
        details = self.loaded.reference.details(reference.patches[shown])
        potential = bicubic + details / reference.std[shown, None] * queries.std[row]

        def picture(values: NDArray[np.float32]) -> NDArray[np.uint8]:
            return np.rint(np.clip(self._square(values), 0.0, 1.0) * 255.0).astype(np.uint8)

        number, y, x = int(one.image[0]), int(one.y[0]), int(one.x[0])
        width = self.config.patch_width
        return ExampleGroup(
            row=row,
            kind=kind,
            lr=store.lr_image(number)[y : y + width, x : x + width].copy(),
            truth=picture(hr)[0],
            bicubic=picture(bicubic)[0],
            center=picture(measures["center_patch"][row : row + 1].astype(np.float32) / 255.0)[0],
            members=picture(potential),
        )

    # -- bookkeeping ------------------------------------------------------------------------

    def _reliability(
        self,
        reference: _Reference,
        members: NDArray[np.int64],
        entropy: NDArray[np.float64],
    ) -> dict[str, estimators.Reliability]:
        """How each estimator does on Gaussian groups with the covariance of a typical group."""
        typical = np.argsort(entropy, kind="stable")[len(entropy) // 2]
        sample = reference.projected[members[typical]].astype(np.float64)
        covariance = np.atleast_2d(np.cov(sample.T))
        out = {}
        for method in self.config.estimators:
            with self.clock.time(f"reliability {method}"):
                out[method] = estimators.reliability(
                    method,
                    self.config.k,
                    sample.shape[1],
                    covariance=covariance,
                    seed=self.config.seed,
                )
            if not out[method].trusted:
                self.warnings.append(
                    f"entropy estimator {method!r}: its absolute values are not to be trusted here "
                    f"({out[method].reason}); rankings and correlations are less affected"
                )
        return out

    def _frame(self, table: Arrays) -> pd.DataFrame:
        import pandas as pd

        names = np.array(self.loaded.queries.names, dtype=object)
        return pd.DataFrame(table | {"image": names[table["image"]]})

    def _provenance(
        self, grouping: _Grouping, reference: _Reference, leaks: list[Leak]
    ) -> dict[str, Any]:
        loaded = self.loaded
        sources = loaded.queries.lr_sources
        if leaks:
            what = (
                "and kept from serving those queries"
                if self.config.exclude_leaks
                else "and NOT excluded: results are too optimistic"
            )
            self.warnings.append(
                f"{len(leaks)} pairs of query and reference images show the same content; they were "
                f"found {what}"
            )
        index = grouping.index
        return {
            "schema_version": SCHEMA_VERSION,
            "fingerprint": self.study.fingerprint(),
            "created": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
            "dataset": {
                "name": self.study.queries.name,
                "title": self.study.queries.title,
                "n_images": len(loaded.queries.names),
                "lr_source": {kind: sources.count(kind) for kind in ("dataset", "made")},
            },
            "reference": {
                "name": self.study.reference.name,
                "title": self.study.reference.title,
                "n_images": len(loaded.reference.names),
                "same_as_dataset": self.study.same_reference,
            },
            "scale": self.config.scale,
            "n_reference_patches": len(reference.patches),
            "engine": {
                "engine": index.engine if index is not None else "faiss-cpu",
                "index": index.kind if index is not None else "k-means cells",
                "effort": grouping.effort,
                "grouping": self.config.grouping,
            },
            "leakage": {
                "checked": True,
                "excluded": self.config.exclude_leaks,
                "n_pairs": len(leaks),
                "pairs": [
                    {
                        "query": loaded.queries.names[leak.query],
                        "reference": loaded.reference.names[leak.reference],
                        "kind": leak.kind,
                        "similarity": leak.similarity,
                    }
                    for leak in leaks
                ],
            },
            "skipped": [
                {"name": item.name, "path": str(item.path), "reason": item.reason}
                for item in loaded.skipped
            ],
            "warnings": self.warnings,
            "timings_s": dict(self.clock.seconds),
            "peak_rss_bytes": peak_rss_bytes(),
            "config": self.config.as_dict(),
            "versions": versions(),
            "seed": self.config.seed,
            "device": "cpu" if index is None or "cpu" in index.engine else "cuda",
        }
