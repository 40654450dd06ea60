"""Compiled loops that gather patches from flat arrays of images.

Numba compiles them on first use and caches the machine code on disk.
"""

from __future__ import annotations

import numpy as np

from cooanalysis.runtime.compiled import njit, prange

AHEAD = 32
"""Patches whose pixels a thread fetches from memory before it computes the first of them."""


@njit(cache=True)
def _corner(start, widths, channels, step, number, y, x):  # type: ignore[no-untyped-def]
    """Start of a patch of image ``number``, and the values in a row of that image."""
    stride = widths[number] * channels
    return start[number] + y * step * stride + x * step * channels, stride


@njit(cache=True)
def _lr_patch(lr, base, stride, width, row_values, normalize, floor, out):  # type: ignore[no-untyped-def]  # noqa: E501
    """Fill ``out`` with one patch's features; returns its mean and contrast."""
    dim = width * row_values
    total, squares, j = np.int64(0), np.int64(0), 0
    for row in range(width):
        for at in range(base + row * stride, base + row * stride + row_values):
            level = np.int64(lr[at])
            total += level
            squares += level * level
            out[j] = level
            j += 1
    mean = np.float32(total / (dim * 255.0))
    if not normalize:
        for j in range(dim):
            out[j] /= np.float32(255.0)
        return mean, np.float32(1.0)
    # Integers up to here: dim times the values, and their sum, are exact in float32 as well.
    spread = np.sqrt(np.float64(dim * squares - total * total))
    deviation = max(spread / (dim * 255.0), floor)
    factor = np.float32(1.0 / (dim * 255.0 * deviation))
    for j in range(dim):
        out[j] = (np.float32(dim) * out[j] - np.float32(total)) * factor
    return mean, np.float32(deviation)


@njit(parallel=True, cache=True)
def gather_lr(lr, start, widths, width, channels, image, y, x, normalize, floor, out, mean, std):  # type: ignore[no-untyped-def]  # noqa: E501
    for i in prange(len(image)):
        base, stride = _corner(start, widths, channels, 1, image[i], y[i], x[i])
        mean[i], std[i] = _lr_patch(
            lr, base, stride, width, width * channels, normalize, floor, out[i]
        )


@njit(cache=True)
def _touch(source, base, stride, rows, row_values):  # type: ignore[no-untyped-def]
    """Read both ends of every row, so that many rows are fetched from memory at once.

    Computing each patch as soon as its rows arrive waits for every row separately, which takes
    three times as long.
    """
    total = np.int64(0)
    for row in range(rows):
        first = base + row * stride
        total += np.int64(source[first]) + np.int64(source[first + row_values - 1])
    return total


@njit(parallel=True, cache=True)
def gather_grid_lr(  # type: ignore[no-untyped-def]
    lr, start, widths, width, channels, first, columns, step, rows, normalize, floor, out
):
    row_values = width * channels
    for block in prange((len(rows) + AHEAD - 1) // AHEAD):
        begin, end = block * AHEAD, min(len(rows), (block + 1) * AHEAD)
        bases = np.empty(AHEAD, np.int64)
        strides = np.empty(AHEAD, np.int64)
        touched = np.int64(0)
        for i in range(begin, end):
            number = np.searchsorted(first, rows[i], side="right") - 1
            y, x = divmod(rows[i] - first[number], columns[number])
            base, stride = _corner(start, widths, channels, step, number, y, x)
            bases[i - begin], strides[i - begin] = base, stride
            touched += _touch(lr, base, stride, width, row_values)
        out[begin, 0] = touched  # keeps the compiler from leaving the reads out
        for i in range(begin, end):
            base, stride = bases[i - begin], strides[i - begin]
            _lr_patch(lr, base, stride, width, row_values, normalize, floor, out[i])


@njit(parallel=True, cache=True)
def gather_rows(source, start, widths, size, channels, scale, image, y, x, unit, out):  # type: ignore[no-untyped-def]  # noqa: E501
    row_values = size * channels
    for i in prange(len(image)):
        base, stride = _corner(start, widths, channels, scale, image[i], y[i], x[i])
        for row in range(size):
            for column in range(row_values):
                out[i, row * row_values + column] = source[base + row * stride + column] * unit


@njit(parallel=True, cache=True)
def gather_windows(  # type: ignore[no-untyped-def]
    source, start, widths, size, channels, scale, image, y, x, chosen, places, out
):
    """Fill the rows ``places`` of ``out`` with the patches that ``chosen`` names there."""
    row_values = size * channels
    for block in prange((len(places) + AHEAD - 1) // AHEAD):
        begin, end = block * AHEAD, min(len(places), (block + 1) * AHEAD)
        bases = np.empty(AHEAD, np.int64)
        strides = np.empty(AHEAD, np.int64)
        touched = np.int64(0)
        for i in range(begin, end):
            patch = chosen[places[i]]
            base, stride = _corner(start, widths, channels, scale, image[patch], y[patch], x[patch])
            bases[i - begin], strides[i - begin] = base, stride
            touched += _touch(source, base, stride, size, row_values)
        out[places[begin], 0] = touched  # keeps the compiler from leaving the reads out
        for i in range(begin, end):
            base, stride = bases[i - begin], strides[i - begin]
            window = out[places[i]]
            for row in range(size):
                window[row * row_values : (row + 1) * row_values] = source[
                    base + row * stride : base + row * stride + row_values
                ]


@njit(parallel=True, cache=True, fastmath=True)
def group_moments(windows, factors, axes, center, rms, nearest, energy, projected):  # type: ignore[no-untyped-def]  # noqa: E501
    members, dim = windows.shape[1], windows.shape[2]
    for group in prange(windows.shape[0]):
        block = np.empty((members, dim), np.float32)
        mean = np.zeros(dim, np.float32)
        for m in range(members):
            # Views of whole rows: loops over them become vector instructions.
            source, target = windows[group, m], block[m]
            factor = factors[group, m]
            for j in range(dim):
                value = np.float32(source[j]) * factor
                target[j] = value
                mean[j] += value
        for j in range(dim):
            mean[j] /= np.float32(members)
            center[group, j] = mean[j]
        total = np.float64(0.0)
        total_energy = np.float64(0.0)
        smallest = np.float64(np.inf)
        for m in range(members):
            member = block[m]
            distance = np.float32(0.0)
            power = np.float32(0.0)
            for j in range(dim):
                value = member[j]
                difference = value - mean[j]
                distance += difference * difference
                power += value * value
            total += distance
            total_energy += power
            smallest = min(smallest, np.float64(distance))
            for c in range(axes.shape[0]):
                axis = axes[c]
                along = np.float32(0.0)
                for j in range(dim):
                    along += member[j] * axis[j]
                projected[group, m, c] = along
        rms[group] = np.sqrt(total / (members * dim))
        nearest[group] = np.sqrt(smallest / dim)
        energy[group] = total_energy / (members * dim)
