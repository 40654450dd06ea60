"""The report of a comparison: one self-contained HTML page, and a card for notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from cooanalysis.comparison.record import ComparisonRecord, judged
from cooanalysis.comparison.summary_record import ComparisonSummary
from cooanalysis.measures.paired import LEVEL
from cooanalysis.measures.realism import RATIO_TOLERANCE
from cooanalysis.plots import COMPARISON_FIGURES, unavailable
from cooanalysis.report.analysis import LISTED, figure_section
from cooanalysis.report.computation import grouping, options, timings
from cooanalysis.report.explorer import Explorer, explorer_data, explorer_page, models_shown
from cooanalysis.report.notices import details, warnings
from cooanalysis.report.numbers import Number, count, seconds, size
from cooanalysis.report.pages import Script, data_url, environment, without_surrogates
from cooanalysis.report.tables import differences, headline


def render_report(comparison: ComparisonRecord, figures: Mapping[str, bytes]) -> str:
    """Return the report of a comparison as HTML.

    Parameters
    ----------
    comparison
        The comparison.
    figures
        PNG files by the names of :data:`cooanalysis.plots.COMPARISON_FIGURES`. A figure that is
        missing is left out with the reason.

    Returns
    -------
    str
        One self-contained page. Text that comes from files or from the names of models is
        escaped, and the page's security policy allows no script but its own.
    """
    summary = comparison.summary
    pictures = _pictures(comparison)
    page = (
        environment()
        .get_template("comparison.html")
        .render(
            summary=summary,
            warnings=warnings(summary),
            statistics=statistics(summary),
            options=options(summary.config.analysis),
            title=_title(summary),
            asked=asked(summary),
            level=LEVEL,
            table=_table(comparison),
            differences=_plain_table(differences(comparison)),
            pictures=pictures,
            shown=_shown_first(list(comparison.crops[0].pictures) if pictures else []),
            sections=_sections(comparison, figures),
            computed=_computed(summary),
            timings=timings(summary.timings_s),
            listed=LISTED,
            script=Script.read("comparison.js", "explorer.js"),
            explorer=_explorer_data(comparison),
            explorer_models=models_shown(comparison.explored),
        )
    )
    return without_surrogates(page)


def write_report(
    comparison: ComparisonRecord, path: str | Path, figures: Mapping[str, bytes]
) -> Path:
    """Write the report of a comparison; see :func:`render_report`."""
    target = Path(path)
    target.write_text(render_report(comparison, figures), encoding="utf-8")
    return target


def explore(comparison: ComparisonRecord) -> Explorer:
    """The explorer of a comparison alone."""
    data = _explorer_data(comparison)
    return explorer_page(comparison.explored, _title(comparison.summary), data)


def card(comparison: ComparisonRecord) -> str:
    """Return a small HTML fragment, the table and the verdicts, for notebooks."""
    summary = comparison.summary
    shown, best = headline(comparison)
    cell = "padding:2px 12px 2px 0;text-align:left;border:0;background:none;white-space:nowrap"
    head = "".join(f'<th scope="col" style="{cell}">{escape(str(c))}</th>' for c in shown.columns)
    rows = []
    for place, values in enumerate(shown.to_dict("records")):
        cells = "".join(
            f'<td style="{cell}{";font-weight:bold" if (place, key) in best else ""}">'
            f"{escape(str(value))}</td>"
            for key, value in values.items()
        )
        rows.append(f'<tr style="background:none">{cells}</tr>')
    verdicts = "".join(
        f"<li><b>{escape(model.name)}</b>: {escape(' '.join(model.verdict))}</li>"
        for model in summary.models
    )
    return (
        '<div style="font-family:system-ui,sans-serif;font-size:13px;line-height:1.4;'
        "border:1px solid rgba(128,128,128,.4);border-radius:6px;padding:10px 14px;"
        'overflow-x:auto">'
        f'<div style="font-weight:bold;margin-bottom:6px">{escape(_title(summary))}</div>'
        '<table style="font-size:inherit;border-collapse:collapse;border:0;margin:0">'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        '<div style="opacity:.75;margin-top:4px">± half of the 95 % interval</div>'
        f'<ul style="margin:6px 0 0 1.2em;padding:0">{verdicts}</ul>'
        f"{details(warnings(summary))}</div>"
    )


# -- sentences ------------------------------------------------------------------------------


def _title(summary: ComparisonSummary) -> str:
    return f"{summary.dataset.title} ×{summary.scale}: which model over-smooths"


def asked(summary: ComparisonSummary) -> str:
    """What was compared, in one paragraph."""
    models = [model.name for model in summary.models]
    return (
        f"{len(models)} models ({', '.join(models)}) upscaled {summary.dataset.n_images} "
        f"images of {summary.dataset.title}. At {count(summary.n_queries)} "
        "patches, each output was compared with the mean of all HR patches whose LR patch looks "
        f"the same (found in {summary.reference.title}): a model that outputs this mean, the "
        "center, over-smooths."
    )


def statistics(summary: ComparisonSummary) -> str:
    """What intervals and p-values are."""
    return (
        "95 % bootstrap intervals over "
        + ("images" if summary.resampled == "images" else "single patches")
        + "; differences: paired sign-flip permutation test over images, p-values adjusted "
        "for all models and measures (Benjamini-Yekutieli)"
    )


def captions(comparison: ComparisonRecord) -> dict[str, str]:
    """Captions of the figures, with the numbers of the run."""
    summary = comparison.summary
    lead = next((m.title for m in summary.measures if m.name == summary.lead), "")
    deciding = judged(summary.baseline, summary.kinds)
    arrows = " An arrow leads from a model to the same model trained with DECLoss."
    bars = " Bars are 95 % intervals over images."
    return {
        "perception_distortion": (
            "Each mark is a model: fidelity to the ground truth across, perceptual quality up. No "
            "model can have the best of both (the perception-distortion tradeoff, Blau and "
            f"Michaeli, CVPR 2018).{_only(arrows, comparison)}{bars}"
        ),
        "bound": _bound_caption(comparison),
        "collapse_manifold": (
            "Across: the collapse index, 0 where a model stays as far from the center of the group "
            "as the ground truth does, 1 where it outputs the center. It falls when detail "
            "returns, but noise lowers it too. So, up: how far the outputs are from clean patches, "
            f"1 where they are as near as the ground truth ({lead}; within {RATIO_TOLERANCE:g} of "
            "1 counts as clean). A model that regains detail moves toward the star; one that adds "
            f"noise moves left and up.{_only(arrows, comparison)}{bars}"
        ),
        "against_entropy": (
            "The query patches, split into equal parts by the entropy of their group: the more "
            "different HR patches share an LR patch, the less a model can know, and the more a "
            f"pixel loss drives it to the center.{bars}"
        ),
        "power_spectra": (
            "Power of the outputs over that of the ground truth at each frequency; 1 is the ground "
            f"truth. Right of the dashed line (the LR Nyquist frequency, {0.5 / summary.scale:.3g} "
            "cycles per HR pixel) the LR image holds no information, and a model must "
            "invent it. Bands are 95 % intervals over images."
        ),
        "crops": (
            f"Chosen by a rule, not by hand: the patches at which {_together(deciding)} most of "
            "the ground truth's squared distance from the center, at most one per image."
        ),
        "maps": (
            "What each model loses of the ground truth's squared distance from the center; below: "
            "its share over the image. The images are those where the center loses most. An ideal "
            "model loses none of it, and the best possible guess of a pixel loss nearly all; on "
            f"the query patches the ceiling of such guesses is {_ceiling(summary)}."
        ),
    }


def _bound_caption(comparison: ComparisonRecord) -> str:
    if comparison.bound is None or comparison.bound.empty:
        return ""
    best = str(comparison.bound["predictor"].iloc[0])
    text = (
        "No model can lie right of the line: the smallest error at each distance of its patches "
        "from those of the ground truth (Freirich, Michaeli and Meir, NeurIPS 2021). The way from "
        "a model to the line, its excess in dB, is error that buys no realism; wide bars are its "
        "95 % intervals over images. The line is that of the best predictor known here, "
        f"{best or 'which is none of the models'}: a model right of it shows that there is a "
        "better one. The distance sees only means and covariances of 12x12 patches: a model near "
        "the line need not look like a clean image, and noise of the right spectrum counts as "
        "realistic. Even perfect samples of all HR images that fit lie up to 3 dB left of it."
    )
    if (comparison.bound["excess_db"] < 0.0).any():
        text += " Models with a negative excess predict something that this predictor does not."
    return text


def _only(arrows: str, comparison: ComparisonRecord) -> str:
    names = set(comparison.names)
    return arrows if any(f"{name}-decloss" in names for name in names) else ""


def _ceiling(summary: ComparisonSummary) -> str:
    ceiling = summary.psnr_ceiling_db
    doubt = "" if ceiling.reliable else ", which is unreliable"
    return Number.of(ceiling).text(2, " dB") + doubt


def _together(names: list[str]) -> str:
    if len(names) == 1:
        return f"{names[0]} loses"
    return f"{', '.join(names[:-1])} and {names[-1]} together lose"


# -- parts of the page ----------------------------------------------------------------------


def _sections(comparison: ComparisonRecord, figures: Mapping[str, bytes]) -> list[dict[str, Any]]:
    missing, written = unavailable(comparison), captions(comparison)
    return [
        figure_section(name, plot, comparison, figures, missing, written)
        for name, plot in COMPARISON_FIGURES.items()
    ]


def _table(comparison: ComparisonRecord) -> dict[str, Any]:
    """The main table: texts, and the numbers by which they are sorted."""
    shown, best = headline(comparison)
    numbers = comparison.table().to_numpy(np.float64)
    rows = []
    for place, texts in enumerate(shown.itertuples(index=False)):
        cells: list[dict[str, Any]] = [{"text": texts[0]}]
        for column, text in enumerate(texts[1:]):
            title = shown.columns[column + 1]
            value = float(numbers[place, column])
            cells.append({"text": text, "value": repr(value), "best": (place, title) in best})
        rows.append(cells)
    return {"columns": list(shown.columns), "rows": rows}


def _plain_table(frame: Any) -> dict[str, Any]:
    return {"columns": list(frame.columns), "rows": frame.to_numpy().tolist()}


def _pictures(comparison: ComparisonRecord) -> list[dict[str, Any]]:
    """The crops in the form that the script reads."""
    return [
        {
            "image": without_surrogates(crop.image),
            "left": crop.left,
            "top": crop.top,
            "width": crop.pictures["hr"].shape[1],
            "height": crop.pictures["hr"].shape[0],
            # Pairs, because a JavaScript object would put names that are numbers first.
            "pictures": [[name, data_url(picture)] for name, picture in crop.pictures.items()],
        }
        for crop in comparison.crops
    ]


def _explorer_data(comparison: ComparisonRecord) -> dict[str, Any] | None:
    maps = comparison.maps
    first = maps[maps["model"] == comparison.names[0]]
    return explorer_data(
        comparison.explored,
        first,
        scale=comparison.summary.scale,
        patch_width=comparison.summary.config.analysis.patch_width,
    )


def _shown_first(names: list[str]) -> tuple[str, str]:
    """What the view shows first: a model and the same one trained with DECLoss, or a model and
    the ground truth."""
    for name in names:
        if f"{name}-decloss" in names:
            return name, f"{name}-decloss"
    models = [name for name in names if name not in ("bicubic", "hr")]
    return (models or ["bicubic"])[0], "hr"


def _computed(summary: ComparisonSummary) -> list[tuple[str, str]]:
    return [
        ("Groups", grouping(summary.config.analysis)),
        ("Query patches", count(summary.n_queries)),
        ("PSNR ceiling", _ceiling(summary)),
        (
            "Two-sample AUC",
            "; ".join(
                f"{model.name} {Number.of(model.two_sample_auc).text(3)}"
                for model in summary.models
            ),
        ),
        ("Outputs taken from the cache", count(summary.cached_outputs)),
        ("Time", seconds(summary.timings_s.get("total"))),
        ("Peak memory", size(summary.peak_rss_bytes)),
        ("Seed", str(summary.seed)),
    ]
