"""Measures of a comparison where their values are known: exact value against the tool's.

    python -m experiments.worlds.exact
    python -m experiments.worlds.exact --images 8 --size 96

In a Gaussian field, and in a world of finitely many patches, models are made whose knowledge is a
window of LR pixels: conditional means, shown with a gain, and posterior samples. Each is taken
apart against the conditional mean of the same context and of the next narrower one. Three values
stand side by side:

- the *nominal* one: what was done to make the output;
- the *exact* one: what the definition gives for infinitely many images. It differs from the nominal
  one where the anchor knows less than a model that samples;
- the tool's, from the images drawn.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cooanalysis.measures.detail.apart import take_apart
from cooanalysis.measures.detail.known import LR_REACH
from cooanalysis.measures.perception_distortion import Bound, patch_sums, squared_errors
from cooanalysis.measures.worlds import exact
from cooanalysis.measures.worlds.gaussian_field import MEAN, GaussianField
from cooanalysis.measures.worlds.grid import Floats, blocks, joined
from cooanalysis.measures.worlds.images import Images, Output, World
from cooanalysis.measures.worlds.library import Library
from experiments.keeping import kept

CONTEXTS = {5: 3, 7: 5, 9: 7, 13: 9, 17: 13}
"""Contexts of the field, LR pixels, and the next narrower of each."""
LIBRARY_CONTEXTS = {5: 3, 7: 5, 11: 7}
"""A tile is 6 LR pixels wide: 11 see all of it."""
GAINS = (0.7, 1.0, 1.5)
PLANE_CONTEXTS = (5, 9, 17)
MIXTURES = (0.0, 0.3, 0.6, 1.0)
"""Shares of the way from the conditional mean to a posterior sample."""
PATCH = 12
"""HR pixels: width of the patches whose distributions are compared."""

TOLERANCES = {"gain": 0.03, "invented of means": 0.02, "invented of samples": 0.03,
              "explained": 0.01, "excess, dB": 0.05}  # fmt: skip
"""In the Gaussian field; twice as much in the library."""


def rows(
    world: World, images: Images, contexts: dict[int, int], seed: int
) -> Iterator[dict[str, object]]:
    """One row per model and anchor."""
    models = [Output(context, gain) for context in contexts for gain in GAINS]
    models += [Output(context, 1.0, 1.0) for context in contexts]
    explained = {context: _explained(world, images, context) for context in contexts}
    for model in models:
        shown = _details(world, images, model, seed)
        for anchor in (model.context, contexts[model.context]):
            tool = take_apart(
                images.details, shown, images.lr, scale=world.scale,
                anchor=_details(world, images, Output(anchor), seed),
            )  # fmt: skip
            row: dict[str, object] = {
                "output": "sample" if model.invented else "mean",
                "context": model.context, "anchor": anchor,
                "gain, nominal": model.gain, "gain, exact": np.nan, "gain": tool.gain,
                "invented, nominal": model.invented**2, "invented, exact": np.nan,
                "invented": tool.invented,
                "explained, nominal": np.nan if model.invented else explained[model.context],
                "explained, exact": np.nan, "explained": tool.explained,
                "closed form": tool.closed_form,
            }  # fmt: skip
            if isinstance(world, GaussianField):
                known = exact.taken_apart(world, model, Output(anchor), lr_window=2 * LR_REACH + 1)
                row |= {
                    "gain, exact": known.gain, "invented, exact": known.invented,
                    "explained, exact": known.explained,
                }  # fmt: skip
            yield row


def _details(world: World, images: Images, model: Output, seed: int) -> list[Floats]:
    return images.details_of(_outputs(world, images, model, seed))


def _explained(world: World, images: Images, context: int) -> float:
    """Share of the detail energy that the conditional mean explains, to expect on these images."""
    if isinstance(world, Library):
        left = np.mean([world.posterior_variance(lr, context) for lr in images.lr])
        return 1.0 - float(left / np.mean(np.square(images.details)))
    return world.explained(context)


def plane(world: GaussianField, images: Images, seed: int) -> Iterator[dict[str, object]]:
    """Excess over the perception-distortion bound: means, samples, mixtures, and the best maps."""
    for context in PLANE_CONTEXTS:
        bound = _Plane.of(world, images, context, PATCH)
        for share in MIXTURES:
            model = Output(context, 1.0, share)
            known = exact.plane(world, model, PATCH)
            yield {
                "output": f"mean + {share:g} (sample - mean)", "context": context, "patch": PATCH,
                "excess, exact": _excess(world, context, *known),
                "excess": bound.excess(_outputs(world, images, model, seed)),
            }  # fmt: skip
    # Maps that lie on the bound exactly, for patches of one block.
    context, scale = 9, world.scale
    bound = _Plane.of(world, images, context, scale)
    means = _outputs(world, images, Output(context), seed)
    best = exact.transport(world, context)
    for share in MIXTURES:
        mixed = (1.0 - share) * np.eye(scale**2) + share * best
        mapped = [np.tensordot(mixed, blocks(mean - MEAN, scale), 1) for mean in means]
        yield {
            "output": f"mean + {share:g} (best map - mean)", "context": context, "patch": scale,
            "excess, exact": 0.0,
            "excess": bound.excess([joined(parts, scale) + MEAN for parts in mapped]),
        }  # fmt: skip


@dataclass(frozen=True)
class _Plane:
    """The bound as the tool finds it, for patches that start at the corner of a block."""

    images: Images
    bound: Bound
    patch: int
    step: int

    @classmethod
    def of(cls, world: GaussianField, images: Images, context: int, patch: int) -> _Plane:
        best = [world.conditional_mean(lr, context) for lr in images.lr]
        options = {"patch": patch, "step": world.scale}
        errors = squared_errors(best, images.truth, **options)
        truth = patch_sums(images.truth, **options)
        bound = Bound.of(truth, patch_sums(best, **options), errors)
        return cls(images, bound, **options)

    def excess(self, outputs: Sequence[Floats]) -> float:
        options = {"patch": self.patch, "step": self.step}
        errors = squared_errors(outputs, self.images.truth, **options)
        return self.bound.place(patch_sums(outputs, **options), errors).excess.value


def _outputs(world: World, images: Images, model: Output, seed: int) -> list[Floats]:
    rng = np.random.default_rng([seed, model.context])
    return [world.output(lr, model, rng) for lr in images.lr]


def _excess(world: GaussianField, context: int, error: float, distance: float) -> float:
    least = exact.least_distortion(world, context, PATCH, distance)
    return float(10.0 * np.log10(error / least))


def deviations(table: pd.DataFrame, reference: str) -> dict[str, float]:
    """Largest distance of the tool's values from a reference column, by measure."""
    means = table["output"] == "mean"
    parts = {
        "gain": ("gain", means | ~means), "invented of means": ("invented", means),
        "invented of samples": ("invented", ~means), "explained": ("explained", means | ~means),
    }  # fmt: skip
    return {
        name: float((table[column] - table[f"{column}, {reference}"])[where].abs().max())
        for name, (column, where) in parts.items()
    }


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=24, help="images drawn from each world")
    parser.add_argument("--size", type=int, default=192, help="their size, a multiple of 24")
    parser.add_argument("--texture", type=float, default=GaussianField.texture, help="of the field")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "measured")
    options = parser.parse_args(arguments)
    with kept(options.out, "exact", {key: value for key, value in vars(options).items()
                                     if key != "out"}):  # fmt: skip
        for name, table in _tables(options):
            table.to_csv(options.out / f"{name}.csv", index=False, float_format="%.5g")


def _tables(options: argparse.Namespace) -> Iterator[tuple[str, pd.DataFrame]]:
    options.out.mkdir(parents=True, exist_ok=True)
    print(f"{options.images} images of {options.size} x {options.size} pixels from each world\n")
    field = GaussianField(size=options.size, texture=options.texture, seed=options.seed)
    library = Library(size=options.size, seed=options.seed)
    for name, world, contexts, slack in (
        ("gaussian_field", field, CONTEXTS, 1.0), ("library", library, LIBRARY_CONTEXTS, 2.0),
    ):  # fmt: skip
        images = world.draw(options.images)
        table = pd.DataFrame(rows(world, images, contexts, options.seed))
        print(f"## {name.replace('_', ' ')}\n\n{_markdown(table)}\n")
        _print_deviations(table, slack)
        yield name, table
    table = pd.DataFrame(plane(field, field.draw(options.images), options.seed))
    print(f"## perception-distortion plane of the Gaussian field\n\n{_markdown(table)}\n")
    worst = float((table["excess"] - table["excess, exact"]).abs().max())
    print(f"largest deviation of the excess: {worst:.3f} dB (target {TOLERANCES['excess, dB']:g})")
    yield "plane", table


def _print_deviations(table: pd.DataFrame, slack: float) -> None:
    print("| largest deviation of the tool | target | from nominal, same anchor | from exact |")
    print("|---|---|---|---|")
    same = deviations(table[table["context"] == table["anchor"]], "nominal")
    defined = deviations(table, "exact")
    for measure, value in same.items():
        print(f"| {measure} | {TOLERANCES[measure] * slack:.2f} | {value:.4f} "
              f"| {defined[measure]:.4f} |")  # fmt: skip
    print()


def _markdown(table: pd.DataFrame) -> str:
    lines = ["| " + " | ".join(table.columns) + " |", "|" + "---|" * table.shape[1]]
    for values in table.itertuples(index=False):
        lines.append("| " + " | ".join(_cell(value) for value in values) + " |")
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "–" if np.isnan(value) else f"{value:.4f}"
    return str(value)


if __name__ == "__main__":
    main()
