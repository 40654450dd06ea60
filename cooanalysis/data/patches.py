"""Patches as coordinates into whole images: nothing is cut out before it is needed.

A :class:`PatchStore` holds every image of a data set once, in three flat arrays:
the low-resolution (LR) values, the high-resolution (HR) values and the *detail*
(HR minus bicubically upsampled LR) as fixed-point integers. A patch is three
integers (image, y, x). The kernels below gather patches in batches straight from
these arrays, so 881,600 patches of 20x20 pixels cost 190 MB instead of 1.4 GB.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cooanalysis.data.kernels import (
    gather_grid_lr,
    gather_lr,
    gather_rows,
    gather_windows,
    group_moments,
)
from cooanalysis.data.loading import LoadedPair
from cooanalysis.errors import NotEnoughDataError
from cooanalysis.runtime.memory import Mapped

DETAIL_UNITS_PER_LEVEL = 64
"""Fixed-point resolution of the stored detail: 1/64 gray level (rounding error 0.0045 RMS)."""

PEAK = 255.0
"""8-bit values per unit: measures work in units where 1.0 is the peak of 8 bits."""

STD_FLOOR = 2.0 / PEAK
"""Smallest standard deviation that an LR patch is divided by, so that noise is not amplified."""


PAGES_AT_ONCE = 2**15
"""Rows of windows that are gathered from mapped files before pages are released: at most an
eighth of a GiB where every row is on a separate page."""


WINDOW_BYTES = 2**28
"""Details of group members that are gathered at once."""


@dataclass(frozen=True)
class Patches:
    """Coordinates of patches: the image number and the top-left corner in LR pixels.

    Attributes
    ----------
    image, y, x
        Integer arrays of shape (n,), dtype int32.
    """

    image: NDArray[np.int32]
    y: NDArray[np.int32]
    x: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, which: NDArray[np.integer] | NDArray[np.bool_] | slice) -> Patches:
        return Patches(self.image[which], self.y[which], self.x[which])


@dataclass(frozen=True)
class GridImages:
    """Image number of every patch of a :class:`PatchGrid`, computed on request."""

    first: NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.first[-1])

    def __getitem__(self, rows: NDArray[np.integer] | slice) -> NDArray[np.int32]:
        """Image numbers of some patches, in the shape of ``rows``."""
        rows = _numbers(rows, len(self))
        return np.asarray(np.searchsorted(self.first, rows, side="right") - 1, np.int32)

    def counts(self, n_images: int, start: int = 0, stop: int | None = None) -> NDArray[np.int64]:
        """(n_images,) patches of each image, of all or of a range of them."""
        counts = np.diff(np.clip(self.first, start, stop))
        return np.pad(counts, (0, n_images - len(counts)))


@dataclass(frozen=True)
class PatchGrid:
    """All patches of all images on a grid, as numbers alone: 32 million take no memory.

    Attributes
    ----------
    first
        (n_images + 1,) number of the first patch of each image, and how many there are.
    columns
        (n_images,) patches in each row of the grid.
    stride
        Step of the grid in LR pixels.
    """

    first: NDArray[np.int64]
    columns: NDArray[np.int64]
    stride: int

    def __len__(self) -> int:
        return int(self.first[-1])

    @property
    def image(self) -> GridImages:
        """Image number of every patch."""
        return GridImages(self.first)

    def __getitem__(self, rows: NDArray[np.integer] | slice) -> Patches:
        """Coordinates of some patches."""
        rows = _numbers(rows, len(self))
        image = self.image[rows]
        y, x = np.divmod(rows - self.first[image], self.columns[image])
        return Patches(
            image, (y * self.stride).astype(np.int32), (x * self.stride).astype(np.int32)
        )


def _numbers(rows: NDArray[np.integer] | slice, n: int) -> NDArray[np.integer]:
    return np.arange(*rows.indices(n)) if isinstance(rows, slice) else np.asarray(rows)


@dataclass(frozen=True)
class PatchStore:
    """All images of one data set, flattened, and everything needed to gather patches.

    Attributes
    ----------
    scale, width, channels
        Upscaling factor, LR patch width in LR pixels, 1 (Y) or 3 (RGB).
    names
        Image names, in order.
    lr_sources
        Per image: ``"dataset"`` or ``"made"``.
    heights, widths
        LR image sizes in LR pixels, shape (n_images,).
    lr_start, hr_start
        Start of each image in the flat arrays.
    lr, hr
        8-bit values, uint8, channels last, images one after the other.
    detail
        HR minus bicubic, int16 in 1/``DETAIL_UNITS_PER_LEVEL`` 8-bit values.
    mapped
        The files that the arrays are mapped from; None where they are in memory.
    """

    scale: int
    width: int
    channels: int
    names: tuple[str, ...]
    lr_sources: tuple[str, ...]
    heights: NDArray[np.int64]
    widths: NDArray[np.int64]
    lr_start: NDArray[np.int64]
    hr_start: NDArray[np.int64]
    lr: NDArray[np.uint8]
    hr: NDArray[np.uint8]
    detail: NDArray[np.int16]
    mapped: Mapped | None = None

    @property
    def patch_size(self) -> int:
        """Side of an HR patch in HR pixels."""
        return self.scale * self.width

    @property
    def patch_dim(self) -> int:
        """Number of values in an HR patch."""
        return self.patch_size**2 * self.channels

    @classmethod
    def from_pairs(cls, pairs: Iterable[LoadedPair], *, scale: int, width: int) -> PatchStore:
        """Flatten loaded image pairs.

        Parameters
        ----------
        pairs
            Image pairs, all with the same number of channels.
        scale
            Upscaling factor.
        width
            LR patch width in LR pixels; smaller images cannot hold a patch.

        Raises
        ------
        NotEnoughDataError
            If there are no images, or an image is smaller than one patch.
        """
        names: list[str] = []
        sources: list[str] = []
        sizes: list[tuple[int, int]] = []
        lr: list[NDArray[np.uint8]] = []
        hr: list[NDArray[np.uint8]] = []
        detail: list[NDArray[np.int16]] = []
        channels = 1
        for pair in pairs:
            height, image_width, channels = pair.lr.shape
            if min(height, image_width) < width:
                raise NotEnoughDataError(
                    f"image {pair.name!r} is {image_width}x{height} LR pixels, smaller than one "
                    f"patch of {width}x{width}; use a smaller patch width or larger images"
                )
            names.append(table_name(pair.name))
            sources.append(pair.lr_source)
            sizes.append((height, image_width))
            arrays = image_arrays(pair)
            lr.append(arrays["lr"])
            hr.append(arrays["hr"])
            detail.append(arrays["detail"])
        if not names:
            raise NotEnoughDataError("no usable image was found; see the list of skipped files")
        shape = np.array(sizes, np.int64)
        heights, widths = shape[:, 0].copy(), shape[:, 1].copy()
        lr_start, hr_start = image_starts(heights, widths, channels, scale)
        return cls(
            scale=scale,
            width=width,
            channels=channels,
            names=tuple(names),
            lr_sources=tuple(sources),
            heights=heights,
            widths=widths,
            lr_start=lr_start,
            hr_start=hr_start,
            lr=np.concatenate(lr),
            hr=np.concatenate(hr),
            detail=np.concatenate(detail),
        )

    def only(self, images: NDArray[np.integer]) -> PatchStore:
        """A store of some of the images, which shares the arrays of this one."""
        return dataclasses.replace(
            self,
            names=tuple(self.names[number] for number in images),
            lr_sources=tuple(self.lr_sources[number] for number in images),
            heights=self.heights[images],
            widths=self.widths[images],
            lr_start=self.lr_start[images],
            hr_start=self.hr_start[images],
        )

    def verify(self, images: Iterable[int]) -> None:
        """Check some images that are mapped from files against their checksums.

        Raises
        ------
        CacheError
            If one differs from what was written.
        """
        if self.mapped is not None:
            self.mapped.verify(int(self.lr_start[number]) for number in images)

    def release(self) -> None:
        """Release pages of mapped files to the system; they are read again when needed."""
        if self.mapped is not None:
            self.mapped.release()

    def lr_image(self, number: int) -> NDArray[np.uint8]:
        """LR image as (height, width, channels) uint8."""
        shape = (int(self.heights[number]), int(self.widths[number]), self.channels)
        start = int(self.lr_start[number])
        return self.lr[start : start + int(np.prod(shape))].reshape(shape)

    def hr_image(self, number: int) -> NDArray[np.uint8]:
        """HR image (cropped to a multiple of the scale) as (height, width, channels) uint8."""
        return self._hr_sized(self.hr, number)

    def detail_image(self, number: int) -> NDArray[np.int16]:
        """Detail as (h, w, channels) int16 in 1/``DETAIL_UNITS_PER_LEVEL`` 8-bit values."""
        return self._hr_sized(self.detail, number)

    def _hr_sized(self, flat: NDArray[Any], number: int) -> NDArray[Any]:
        height, width = int(self.heights[number]), int(self.widths[number])
        shape = (height * self.scale, width * self.scale, self.channels)
        start = int(self.hr_start[number])
        return flat[start : start + int(np.prod(shape))].reshape(shape)

    # -- which patches -------------------------------------------------------------------

    def patch_grid(self, stride: int) -> PatchGrid:
        """All patches whose corners lie on a grid of ``stride`` LR pixels, image by image."""
        rows = np.maximum(0, (self.heights - self.width) // stride + 1)
        columns = np.maximum(0, (self.widths - self.width) // stride + 1)
        first = np.concatenate([[0], np.cumsum(rows * columns)]).astype(np.int64)
        return PatchGrid(first, columns, stride)

    def grid(self, stride: int, images: Iterable[int] | None = None) -> Patches:
        """Coordinates of all patches of :meth:`patch_grid`, or of those of some images."""
        grid = self.patch_grid(stride)
        if images is None:
            return grid[:]
        parts = [np.arange(*grid.first[number : number + 2]) for number in images]
        return grid[np.concatenate(parts)]

    def sample(self, n: int, rng: np.random.Generator) -> Patches:
        """Draw ``n`` distinct patch positions at stride 1, spread evenly over the images.

        Every image gets the same number, as far as it has that many positions;
        the remainder goes to the larger images. Returned in image order.
        """
        rows = self.heights - self.width + 1
        columns = self.widths - self.width + 1
        available = rows * columns
        quota = _even_quota(available, n)
        image, y, x = [], [], []
        for number, count in enumerate(quota):
            flat = np.sort(rng.choice(available[number], size=count, replace=False))
            image.append(np.full(count, number, np.int32))
            y.append((flat // columns[number]).astype(np.int32))
            x.append((flat % columns[number]).astype(np.int32))
        return Patches(np.concatenate(image), np.concatenate(y), np.concatenate(x))

    # -- gathering -----------------------------------------------------------------------

    def lr_patches(
        self, patches: Patches, *, normalize: bool = True
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Gather LR patches with their means and contrasts.

        Returns
        -------
        features
            (n, width*width*channels) float32. Normalized: minus its mean, over its
            standard deviation (floored at 2/255). Otherwise 8-bit values / 255.
        mean, std
            (n,) float32 in units of the peak; ``std`` is floored, and is 1 for every
            patch when ``normalize`` is false, so that dividing by it is always right.
        """
        n = len(patches)
        out = np.empty((n, self.width**2 * self.channels), np.float32)
        mean = np.empty(n, np.float32)
        std = np.empty(n, np.float32)
        for rows in self._batches(n, self.width):
            part = patches[rows]
            gather_lr(
                self.lr, self.lr_start, self.widths, self.width, self.channels,
                part.image, part.y, part.x, normalize, STD_FLOOR, out[rows], mean[rows], std[rows],
            )  # fmt: skip
        return out, mean, std

    def grid_features(
        self, grid: PatchGrid, rows: NDArray[np.integer] | slice, *, normalize: bool = True
    ) -> NDArray[np.float32]:
        """Features of some patches of a grid, as of :meth:`lr_patches`.

        In one pass from numbers to features: a search needs tens of millions of them.
        """
        rows = _numbers(rows, len(grid))
        out = np.empty((len(rows), self.width**2 * self.channels), np.float32)
        for part in self._batches(len(rows), self.width):
            gather_grid_lr(
                self.lr, self.lr_start, self.widths, self.width, self.channels, grid.first,
                grid.columns, grid.stride, rows[part], normalize, STD_FLOOR, out[part],
            )  # fmt: skip
        return out

    def details(self, patches: Patches) -> NDArray[np.float32]:
        """Gather detail patches: (n, patch_dim) float32 in units of the peak."""
        return self._gather(self.detail, patches, 1.0 / (PEAK * DETAIL_UNITS_PER_LEVEL))

    def hr_patches(self, patches: Patches) -> NDArray[np.float32]:
        """Gather HR patches: (n, patch_dim) float32 in [0, 1]."""
        return self._gather(self.hr, patches, 1.0 / PEAK)

    def _gather(self, source: NDArray[Any], patches: Patches, unit: float) -> NDArray[np.float32]:
        out = np.empty((len(patches), self.patch_dim), np.float32)
        for rows in self._batches(len(patches), self.patch_size):
            part = patches[rows]
            gather_rows(
                source, self.hr_start, self.widths * self.scale, self.patch_size, self.channels,
                self.scale, part.image, part.y, part.x, np.float32(unit), out[rows],
            )  # fmt: skip
        return out

    def _batches(self, n: int, rows: int) -> Iterator[slice]:
        """Parts of ``n`` windows of ``rows`` rows each; all at once where images are in memory.

        Each row of a window may be on a separate page, so a large batch would bring
        whole files into memory before any page of them could be released.
        """
        if self.mapped is None:
            yield slice(0, n)
            return
        step = max(1, PAGES_AT_ONCE // rows)
        for start in range(0, n, step):
            yield slice(start, min(n, start + step))
            self.mapped.keep()

    def _windows(self, patches: Patches, chosen: NDArray[np.integer]) -> NDArray[np.int16]:
        """(*chosen.shape, patch_dim) stored details of some patches.

        In the order of the patches, so that those of images mapped from files read the
        files once: groups gathered one by one would touch most pages many times.
        """
        flat = chosen.ravel()
        order = np.argsort(flat)
        out = np.empty((len(flat), self.patch_dim), np.int16)
        for rows in self._batches(len(flat), self.patch_size):
            gather_windows(
                self.detail, self.hr_start, self.widths * self.scale, self.patch_size,
                self.channels, self.scale, patches.image, patches.y, patches.x, flat,
                order[rows], out,
            )  # fmt: skip
        return out.reshape(*chosen.shape, self.patch_dim)

    def group_moments(
        self,
        patches: Patches,
        neighbors: NDArray[np.integer],
        weight: NDArray[np.float32],
        axes: NDArray[np.float32] | None = None,
    ) -> GroupMoments:
        """Center and spread of groups of details, gathered a few groups at once.

        Parameters
        ----------
        patches
            The reference patches that ``neighbors`` points into.
        neighbors
            (q, k) row numbers into ``patches``.
        weight
            (n,) factor of each reference detail: one over its LR contrast.
        axes
            (patch_dim, m) axes that members are also projected on; None for none.

        Returns
        -------
        GroupMoments
        """
        n_groups = len(neighbors)
        center = np.empty((n_groups, self.patch_dim), np.float32)
        rms = np.empty(n_groups, np.float32)
        nearest = np.empty(n_groups, np.float32)
        energy = np.empty(n_groups, np.float32)
        onto = np.empty((self.patch_dim, 0), np.float32) if axes is None else axes
        onto = np.ascontiguousarray(onto.T, np.float32)  # one axis per row: vector instructions
        projected = np.empty((*neighbors.shape, len(onto)), np.float32)
        unit = np.float32(1.0 / (PEAK * DETAIL_UNITS_PER_LEVEL))
        step = max(1, WINDOW_BYTES // (2 * self.patch_dim * max(1, neighbors.shape[1])))
        for start in range(0, n_groups, step):
            rows = slice(start, start + step)
            some = neighbors[rows]
            group_moments(
                self._windows(patches, some), unit * weight[some], onto,
                center[rows], rms[rows], nearest[rows], energy[rows], projected[rows],
            )  # fmt: skip
        return GroupMoments(center, rms, nearest, energy, None if axes is None else projected)


@dataclass(frozen=True)
class GroupMoments:
    """What the gather kernel computes for each group.

    Attributes
    ----------
    center
        (q, patch_dim) mean of the members.
    rms_distance
        (q,) root of the mean squared distance of members to the center, per value.
    min_distance
        (q,) distance of the nearest member to the center, per value (also a root mean square
        over the values of the patch, so that it compares with ``rms_distance``).
    member_energy
        (q,) mean squared value of the members.
    projected
        (q, k, m) members on the requested axes; None without axes.
    """

    center: NDArray[np.float32]
    rms_distance: NDArray[np.float32]
    min_distance: NDArray[np.float32]
    member_energy: NDArray[np.float32]
    projected: NDArray[np.float32] | None

    @classmethod
    def concatenate(cls, parts: Sequence[GroupMoments]) -> GroupMoments:
        """The groups of all parts, in their order."""
        if len(parts) == 1:
            return parts[0]
        columns: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            values = [getattr(part, field.name) for part in parts]
            columns[field.name] = None if values[0] is None else np.concatenate(values)
        return cls(**columns)


def table_name(name: str) -> str:
    """A file's name as UTF-8, which tables require and file names need not be."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def image_arrays(pair: LoadedPair) -> dict[str, NDArray[Any]]:
    """One image as a store keeps it: flat ``lr``, ``hr`` and fixed-point ``detail``."""
    # In place: for large images, new arrays cost more than the arithmetic.
    exact = np.subtract(pair.hr, pair.upsampled, dtype=np.float32)
    exact *= DETAIL_UNITS_PER_LEVEL
    detail = np.rint(exact, out=exact).astype(np.int16)
    return {"lr": pair.lr.reshape(-1), "hr": pair.hr.reshape(-1), "detail": detail.reshape(-1)}


def image_starts(
    heights: NDArray[np.int64], widths: NDArray[np.int64], channels: int, scale: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Start of each image in the flat LR arrays, and in the HR ones."""
    sizes = heights * widths * channels
    start = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    return start, start * scale * scale


def _even_quota(available: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Divide ``n`` draws among images as evenly as their sizes allow."""
    n = int(min(n, available.sum()))
    quota = np.zeros(len(available), np.int64)
    while (left := n - int(quota.sum())) > 0:
        open_images = np.flatnonzero(quota < available)
        share = max(1, left // len(open_images))
        add = np.minimum(share, available[open_images] - quota[open_images])
        # The last few draws go to the first images that still have room.
        surplus = np.cumsum(add) - left
        add = np.where(surplus > 0, np.maximum(add - surplus, 0), add)
        quota[open_images] += add
    return quota
