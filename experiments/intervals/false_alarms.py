"""How often a verdict claims a difference between two models that do not differ.

    python -m experiments.intervals.false_alarms
    python -m experiments.intervals.false_alarms --comparisons 400 --n 8 100

Each comparison draws images for two models. Image by image both are drawn alike: what they know,
show and make up, their PSNR and SSIM, and their distances to clean patches. So everything that the
verdict says of a difference is a false alarm. It is found with the functions of a comparison:
``totals``, ``reach`` and ``verdict``. As a control, a third column has the share of comparisons in
which a verdict notices a model that knows a fifth more.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cooanalysis.comparison.statistics import Measure, measures, psnr_explained, reach, totals
from cooanalysis.comparison.verdict import verdict
from cooanalysis.measures.paired import LEVEL
from cooanalysis.measures.realism import Realism
from cooanalysis.metrics import METRICS
from experiments.intervals.coverage import HERE, WORLDS, markdown
from experiments.keeping import kept

N_IMAGES = (5, 8, 20, 100)
MODELS = ("base", "other")
CLAIMS = (" more than ", " less than ", "better in", "worse in")
"""What a verdict says only of a difference."""
PIXELS = 1e5
UNKNOWN = Realism("undecided", {})

Array = NDArray[np.float64]


def wanted() -> list[Measure]:
    """The measures of a comparison with two metrics and one feature space."""
    return measures([METRICS["psnr_y"], METRICS["ssim_y"]], ["sparsity"])


def tables(
    rng: np.random.Generator, world: str, n: int, more: float = 0.0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of images, and rows of patches (one per image), of two models.

    Parameters
    ----------
    rng
        Source of randomness.
    world
        Distribution of the energies of images, see :mod:`experiments.intervals.coverage`.
    n
        Number of images.
    more
        The second model knows this share more than the first.
    """
    draw = WORLDS[world]
    energy, share = 40.0 * draw(rng, (n,), 1.0), 0.2 * draw(rng, (n,), 0.3)
    quality, clean = rng.normal(27.0, 3.0, n), draw(rng, (n,), 0.3)
    images, patches = [], []
    for number, model in enumerate(MODELS):
        common = {"model": model, "image": [f"{i:03}" for i in range(n)]}
        known = share * energy * draw(rng, (n,), 0.2) * (1.0 + more * number)
        gain, invented = 1.0 + 0.1 * rng.normal(size=n), 0.1 * draw(rng, (n,), 0.5)
        shown = {"energy": known, "truth": known, "output": gain * known}
        sums = {f"{of}_{name}": value for of in ("known", "alone") for name, value in shown.items()}
        output = gain**2 * known + invented * (energy - known)
        images.append(
            pd.DataFrame(
                common | sums
                | {"psnr_y": quality + rng.normal(0.0, 0.1, n),
                   "ssim_y": 0.75 + 0.02 * (quality - 27.0) + rng.normal(0.0, 0.005, n),
                   "truth_energy": energy, "output_energy": output, "pixels": PIXELS}
            )
        )  # fmt: skip
        distance = 1.2 * clean * draw(rng, (n,), 0.1)
        patches.append(
            pd.DataFrame(common | {"manifold_sparsity": distance, "clean_sparsity": clean})
        )
    table = pd.concat(images, ignore_index=True)
    table["psnr_explained_db"] = psnr_explained(table)
    return table, pd.concat(patches, ignore_index=True)


def claims(images: pd.DataFrame, patches: pd.DataFrame, n: int, seed: int) -> tuple[bool, bool]:
    """Whether the verdict claims a difference, and whether any p-value unadjusted is small."""
    table = totals(wanted(), images, patches, baseline=MODELS[0], seed=seed)
    text = verdict(
        MODELS[1], table, wanted(), baseline=MODELS[0], anchor=None, realism=UNKNOWN,
        reach=reach(table, n),
    )[1]  # fmt: skip
    return any(claim in text for claim in CLAIMS), bool((table["p"] <= LEVEL).any())


def row(world: str, n: int, comparisons: int, seed: int) -> dict[str, Any]:
    """Shares of comparisons with a false alarm, for one world and number of images."""
    found, noticed = [], []
    for number in range(comparisons):
        rng = np.random.default_rng([seed, number, n, *map(ord, world)])
        found.append(claims(*tables(rng, world, n), n, number))
        if number % 5 == 0:
            noticed.append(claims(*tables(rng, world, n, more=0.2), n, number)[0])
    alarms, unadjusted = np.mean(found, axis=0)
    return {
        "world": world, "images": n, "comparisons": comparisons,
        "false alarms of the verdict": float(alarms),
        "any unadjusted p of at most 0.05": float(unadjusted),
        "a fifth more known is noticed": float(np.mean(noticed)),
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--comparisons", type=int, default=100, help="for each world and number")
    parser.add_argument(
        "--n", type=int, nargs="+", default=list(N_IMAGES), help="numbers of images"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE, help="kept there")
    options = parser.parse_args(arguments)
    made_with = {key: value for key, value in vars(options).items() if key != "out"}
    with kept(options.out, "verdicts", made_with):
        table = pd.DataFrame(
            [
                row(world, n, options.comparisons, options.seed)
                for world in ("normal", "lognormal 1")
                for n in options.n
            ]
        )
        total = int(table["comparisons"].sum())
        alarms = float(np.average(table["false alarms of the verdict"], weights=table.comparisons))
        print("Share of comparisons of two models that do not differ, in percent\n")
        print(markdown(table))
        print(
            f"\nAll {total} comparisons: {100 * alarms:.1f} % with a false alarm (at most 5 % are "
            "accepted)"
        )


if __name__ == "__main__":
    main()
