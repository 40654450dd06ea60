"""The complete job compared with the naive script: time, memory, and agreement.

    python -m experiments.benchmarks.job_peers --dataset div2k --images 25,50,100,200 \\
        --queries 20000

Every size is a number of images of a data set that is its own reference. Ours runs twice:
with the measures of the naive script, and with everything that ``coo-analyze`` does by default
(other feature spaces and entropies, maps). All start from image files and run in separate
processes, one after the other. The naive script gets the positions of our queries, and its numbers
must agree with ours within stated tolerances.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from cooanalysis.data import resolve
from experiments.benchmarks.options import DataRoot, Out
from experiments.benchmarks.processes import (
    OUT,
    Limits,
    Outcome,
    Ratio,
    Row,
    compete,
    numbers,
    publish,
    say,
)

SCALE = 4
SAME, WHOLE, NAIVE = "cooanalysis, the same measures", "cooanalysis, by default", "naive script"
TOLERANCES = {
    "entropy": (0.02, "nats per dimension, median"),
    "center RMS": (0.02, "of the value, median"),
    "PSNR ceiling": (0.5, "dB"),
    "center / clean": (0.05, "of the value"),
}
"""Ties of flat patches, other principal axes, approximate neighbors and images that ours leaves
out as duplicates change the numbers; SciPy's spacing entropy has a bias of about 0.3 dB. A wrong
method changes them more."""
RELATIVE = ("center RMS", "center / clean")


def ours(
    dataset: str, out: str, n_queries: int, k: int, stride: int, memory: float, same: bool
) -> dict[str, Any]:
    """Our job, as ``coo-analyze`` does it; ``same`` for the measures of the naive script only."""
    import cooanalysis as coo

    options: dict[str, Any] = {"queries": n_queries, "k": k, "stride": stride, "memory": memory}
    if same:
        options |= {
            "estimators": ("gaussian", "kozachenko-leonenko"),
            "features": ("subbands",),
            "map_images": 0,
        }
    result = coo.analyze(dataset, out=out, **options)
    summary = result.summary
    return {
        "seconds": summary.timings_s,
        "reference patches": summary.n_reference_patches,
        "recall": None if summary.recall_at_k is None else summary.recall_at_k.value,
        "entropy": float(result.groups["entropy_gaussian"].median()),
        "center RMS": float(result.groups["center_rms"].median()),
        "PSNR ceiling": summary.psnr_ceiling_db.value,
        "center / clean": summary.manifold["subbands"].center_ratio.value,
    }


def subset(dataset: str, images: int, folder: Path, data_root: Path | None) -> int:
    """Link some images of a data set, spread over it, into a folder; returns how many."""
    pairs = resolve(dataset, scale=SCALE, data_root=data_root).pairs
    images = min(images, len(pairs))
    chosen = [pairs[i * len(pairs) // images] for i in range(images)]
    with_lr = all(pair.lr_path is not None for pair in chosen)
    hr = folder / "HR" if with_lr else folder
    lr = folder / "LR_bicubic" / f"X{SCALE}"
    for each in (hr, lr) if with_lr else (hr,):
        each.mkdir(parents=True)
    links: dict[Path, Path] = {}
    for number, pair in enumerate(chosen):
        name = f"{number:05d}"
        links[hr / f"{name}{pair.hr_path.suffix}"] = pair.hr_path.resolve()
        if with_lr and pair.lr_path is not None:
            links[lr / f"{name}x{SCALE}{pair.lr_path.suffix}"] = pair.lr_path.resolve()
    for link, file in links.items():
        os.symlink(file, link)
        file.read_bytes()  # otherwise only the first candidate would wait for the disk
    return images


def main(
    dataset: Annotated[str, typer.Option(help="Data set or folder.")] = "sample",
    images: Annotated[str, typer.Option(help="Numbers of images.")] = "14",
    queries: Annotated[int, typer.Option(help="Query patches.")] = 5000,
    k: Annotated[int, typer.Option(help="Members of a group.")] = 128,
    stride: Annotated[int, typer.Option(help="Step between reference patches in LR pixels.")] = 2,
    memory: Annotated[float, typer.Option(help="Our memory budget in GiB.")] = 1.0,
    whole: Annotated[bool, typer.Option(help="Also run ours with all measures.")] = True,
    time_limit: Annotated[float, typer.Option(help="Seconds per job.")] = 7200.0,
    memory_limit: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="GiB per job. Default: nine tenths of free memory."),
    ] = None,
    data_root: DataRoot = None,
    out: Out = OUT,
) -> None:
    """Measure, check and print."""
    limits = Limits.of(time_limit, memory_limit)
    rows: list[Row] = []
    ratios: list[Ratio] = []
    disagreements: list[str] = []
    compared: list[int] = []
    for size in numbers(images):
        with tempfile.TemporaryDirectory() as folder:
            chosen = Path(folder) / "images"
            count = subset(dataset, size, chosen, data_root)
            shared = {"dataset": str(chosen), "n_queries": queries, "k": k, "stride": stride}
            found: dict[str, Outcome] = {}
            for name, same in ((SAME, True), *(((WHOLE, False),) if whole else ())):
                target = str(Path(folder) / f"run-{same}")
                options = shared | {"out": target, "memory": memory, "same": same}
                # The decoded images of a large set are not used by later runs.
                os.environ["COO_CACHE_HOME"] = str(Path(folder) / f"cache-{same}")
                found[name] = compete("job_peers:ours", options, limits)
                say(_line(count, name, found[name]))
            positions = str(Path(folder) / "run-True" / "groups.parquet")
            found[NAIVE] = compete("naive_job:run", shared | {"positions": positions}, limits)
            say(_line(count, NAIVE, found[NAIVE]))
        rows += [_row(count, name, outcome) for name, outcome in found.items()]
        if found[NAIVE].skipped is None and found[SAME].skipped is None:
            ratios += _ratios(count, found)
            disagreements += compare(count, found[SAME].values, found[NAIVE].values)
            compared.append(count)
    stated = "; ".join(f"{name} {width:g} {unit}" for name, (width, unit) in TOLERANCES.items())
    notes = [
        f"{dataset} as its own reference, {queries:,} queries, k = {k}, stride {stride}; our "
        f"memory budget {memory:g} GiB. Wall time of entire processes, starting from image files "
        "that had been read once before.",
        f"Tolerances for the agreement: {stated}. {_agreement(compared, disagreements)}",
    ]
    largest = [ratio for ratio in ratios if ratio.wanted is not None][-2:]
    kept = [Ratio(r.name, r.value, r.wanted if r in largest else None) for r in ratios]
    publish("job", "The complete job compared with a naive script", rows, kept, notes, out)
    if disagreements:
        raise SystemExit("the naive script disagrees: " + json.dumps(disagreements))


def _line(count: int, name: str, outcome: Outcome) -> str:
    ended = outcome.skipped or f"{outcome.seconds:.1f} s, {outcome.peak_gib:.2f} GiB"
    return f"{count:>5} images  {name:32} {ended}"


def _row(count: int, name: str, outcome: Outcome) -> Row:
    row: Row = {"images": count, "job": name}
    if outcome.skipped is not None:
        return row | {"note": f"{outcome.skipped}; ended after {outcome.seconds:.0f} s"}
    values = dict(outcome.values)
    stages = {
        stage: seconds for stage, seconds in values.pop("seconds").items() if stage != "total"
    }
    slowest = sorted(stages, key=lambda stage: -stages[stage])[:4]
    return (
        row
        | {"reference patches": values.pop("reference patches")}
        | {"seconds": outcome.seconds, "peak GiB": outcome.peak_gib}
        | {name: values.get(name) for name in ("recall", *TOLERANCES)}
        | {"note": ", ".join(f"{stage} {stages[stage]:.1f} s" for stage in slowest)}
    )


def _agreement(compared: list[int], disagreements: list[str]) -> str:
    if not compared:
        return "Nothing was compared: one of the two did not finish."
    sizes = ", ".join(map(str, compared))
    return " ".join(disagreements) or f"All met (compared: {sizes} images)."


def _ratios(count: int, found: dict[str, Outcome]) -> list[Ratio]:
    ratios = []
    for name, wanted in ((WHOLE, None), (SAME, (">=", 10.0))):
        if name in found and found[name].skipped is None:
            ours, naive, of = found[name], found[NAIVE], f"{NAIVE} / {name}, {count} images"
            ratios.append(Ratio(f"{of}, time", naive.seconds / ours.seconds, wanted))
            ratios.append(Ratio(f"{of}, memory", naive.peak_bytes / ours.peak_bytes, wanted))
    return ratios


def compare(count: int, ours: dict[str, Any], naive: dict[str, Any]) -> list[str]:
    """Differences beyond the tolerances, one sentence each."""
    found = []
    for name, (width, unit) in TOLERANCES.items():
        first, second = ours[name], naive[name]
        if first is None:
            continue
        allowed = width * abs(first) if name in RELATIVE else width
        if not abs(first - second) <= allowed:
            found.append(f"{count} images, {name}: {first:.4g} and {second:.4g} ({unit}).")
    return found


if __name__ == "__main__":
    typer.run(main)
