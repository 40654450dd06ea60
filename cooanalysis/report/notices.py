"""Every code of a notice: what it means, and the sentence shown for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from cooanalysis.analysis.summary_record import AnalysisSummary
from cooanalysis.comparison.summary_record import ComparisonSummary
from cooanalysis.runtime.notices import Notice

Facts = Mapping[str, Any]

QUOTED = ("legacy", "text")
"""Codes whose only fact, ``text``, is shown as it is: ``legacy`` are the warnings of run
directories that an older version wrote as sentences."""


@dataclass(frozen=True)
class NoticeKind:
    """What a code means.

    Attributes
    ----------
    code
        The code.
    facts
        Names of the facts that it comes with.
    meaning, affects, advice
        What happened, which results it affects and what to do: for the documentation.
    sentence
        What is shown to the reader of a result, made from the facts.
    """

    code: str
    facts: tuple[str, ...]
    meaning: str
    affects: str
    advice: str
    sentence: Callable[[Facts], str]


# -- sentences that depend on more than their numbers ---------------------------------------------

_STEPS = {
    "measuring_groups": "measuring groups",
    "searching_neighbors": "searching for neighbors",
    "bounding_error": "computing the PSNR ceiling",
}


def _few_images(facts: Facts) -> str:
    text = (
        f"The data set holds only {_many(facts['n_images'], 'image')}, and resampling images "
        f"needs at least {facts['needed']}: intervals come from single patches. Patches of one "
        "image resemble each other, so these intervals are too narrow."
    )
    return f"{text} Tests over that few images say little." if facts["compared"] else text


def _entropy_unreliable(facts: Facts) -> str:
    size = f"n = {facts['n']} members in d = {facts['d']} dimensions"
    if facts["bias"] is None:
        why = f"it gives no estimate for Gaussian groups of the run's own shape, {size}"
    else:
        why = (
            f"its bias on Gaussian groups of the run's own shape, {size}, is {facts['bias']:+.4f} "
            f"nats per dimension, beyond the tolerance of {facts['tolerance']:g}"
        )
    return (
        f"Absolute entropies of the {facts['estimator']} estimator are unreliable here: {why}. "
        "Rankings and correlations are less affected."
    )


def _ceiling_unreliable(facts: Facts) -> str:
    return (
        f"The PSNR ceiling ({facts['ceiling_db']:.2f} dB) is unreliable here: the center of the "
        "groups does not stay clearly below it, which happens when groups mix LR patches that "
        "differ. Use a larger reference set, a smaller stride or a smaller k."
    )


def _gpu_out_of_memory(facts: Facts) -> str:
    what = (
        "groups were measured on the CPU"
        if facts["step"] == "measuring_groups"
        else f"neighbors were searched on the CPU ({facts['engine']})"
    )
    return f"The GPU ran out of memory; {what}, more slowly."


def _interval(facts: Facts, digits: int) -> str:
    value, low, high = (facts[name] for name in ("value", "ci_low", "ci_high"))
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _fixed(value: float | None) -> str:
    return "not a number" if value is None else f"{value:.2f}"


def _percent(share: float) -> str:
    return f"{100.0 * share:.1f} %"


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _many(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


# -- the codes ------------------------------------------------------------------------------------

_ALL = (
    NoticeKind(
        "few_images",
        ("n_images", "needed", "compared"),
        "There are too few images to resample, so single patches are resampled instead.",
        "All intervals, which are too narrow; tests between models.",
        "Add images.",
        _few_images,
    ),
    NoticeKind(
        "leaks_included",
        ("n_pairs",),
        "Reference images show the content of query images and were not excluded.",
        "Every number: results are too optimistic.",
        "Leave out `--no-exclude-leaks`, or use another reference set.",
        lambda facts: (
            f"{_many(facts['n_pairs'], 'pair')} of query and reference images show the same "
            "content and were not excluded: every number here is too optimistic."
        ),
    ),
    NoticeKind(
        "entropy_unreliable",
        ("estimator", "bias", "tolerance", "n", "d"),
        "An entropy estimator misses the known entropy of Gaussian groups of the run's own shape.",
        "Absolute entropies and the ceiling of this estimator; rankings and correlations less.",
        "Use a larger `k` or a smaller `subspace_dim`, or another estimator.",
        _entropy_unreliable,
    ),
    NoticeKind(
        "ceiling_unreliable",
        ("ceiling_db",),
        "The center of the groups does not stay clearly below the PSNR ceiling.",
        "The PSNR ceiling.",
        "Use a larger reference set, a smaller `stride` or a smaller `k`.",
        _ceiling_unreliable,
    ),
    NoticeKind(
        "clean_check_off",
        ("space", "value", "ci_low", "ci_high"),
        "The two halves of the clean patches differ in a feature space, where their ratio "
        "should be 1.",
        "Small differences between manifold ratios of that space.",
        "Use more queries, or more images.",
        lambda facts: (
            f"The clean check in {facts['space']} gives {_interval(facts, 2)} instead of 1: the "
            "two halves of the clean patches differ, so small differences between ratios mean "
            "little."
        ),
    ),
    NoticeKind(
        "classifier_check_off",
        ("value", "ci_low", "ci_high"),
        "The classifier distinguishes clean patches from clean patches, or is worse than chance.",
        "The two-sample AUC.",
        "Use more queries, or more images.",
        lambda facts: (
            f"The check of the classifier, clean against clean, gives AUC {_interval(facts, 3)} "
            "instead of 0.5, so its other scores are slightly off."
        ),
    ),
    NoticeKind(
        "dataset_incomplete",
        ("dataset", "folder", "n_images", "expected"),
        "A registered data set has fewer images on disk than it should have.",
        "Every number: results are not comparable with those of the whole set.",
        "Get the missing images.",
        lambda facts: (
            f"{facts['folder']} holds {facts['n_images']} of the {facts['expected']} images of "
            f"{facts['dataset']}; results are not comparable with those of the whole set."
        ),
    ),
    NoticeKind(
        "images_skipped",
        ("n_files",),
        "Image files could not be used; `skipped` in the summary lists them with the reason.",
        "The results are those of the remaining images.",
        "Repair the files, or add `--strict` to stop at the first one.",
        lambda facts: (
            f"{_many(facts['n_files'], 'image file')} could not be used; the summary lists each "
            "with the reason."
        ),
    ),
    NoticeKind(
        "leaks_excluded",
        ("n_pairs",),
        "Reference images show the content of query images; they are not used as neighbors of "
        "those queries.",
        "Nothing: the leakage was removed.",
        "Nothing; `leakage` in the summary lists the pairs.",
        lambda facts: (
            f"{_many(facts['n_pairs'], 'pair')} of query and reference images show the same "
            "content; these reference images were not used as neighbors of those queries."
        ),
    ),
    NoticeKind(
        "recall_below_target",
        ("index", "recall", "target"),
        "An approximate index finds fewer of the exact neighbors than requested.",
        "Groups hold some patches that are not the nearest, so entropies are slightly high.",
        "Use `--index exact` or `--index ivf`.",
        lambda facts: (
            f"The {facts['index']} index finds only {facts['recall']:.3f} of the exact neighbors "
            f"instead of {facts['target']}; use --index exact or ivf."
        ),
    ),
    NoticeKind(
        "queries_left_out",
        ("n_left_out", "n_queries", "k"),
        "K-means cells hold fewer usable members than a group needs.",
        "The results are those of the remaining queries.",
        "Use fewer clusters, a smaller `k` or a larger reference set.",
        lambda facts: (
            f"{facts['n_left_out']:,} of {facts['n_queries']:,} queries fell into k-means cells "
            f"with fewer than k = {facts['k']} usable members and were left out."
        ),
    ),
    NoticeKind(
        "fewer_queries",
        ("n_queries", "wanted"),
        "The images hold fewer distinct query patches than requested; all of them are used.",
        "The width of intervals.",
        "Add images, or ask for fewer queries.",
        lambda facts: (
            f"The images hold only {facts['n_queries']:,} distinct query patches instead of "
            f"{facts['wanted']:,}; all of them are used."
        ),
    ),
    NoticeKind(
        "feature_space_missing",
        ("space", "reason"),
        "A feature space needs a package or weights that are missing. `reason` quotes what the "
        "feature space says is missing.",
        "The manifold distances in this space are missing.",
        "Install what is missing, or leave the space out of `--features`.",
        lambda facts: f"Feature space {facts['space']} was left out: {facts['reason']}",
    ),
    NoticeKind(
        "anchor_missing",
        (),
        "No model behaves like a conditional mean, and no shipped network can be run instead.",
        "Invented detail and collapse index: they are bounds, because what a model samples cannot "
        "be distinguished from what it knows.",
        "Add a PSNR-oriented model to the comparison, or name one with `--anchor`.",
        lambda facts: (
            "There is no anchor: no model behaves like a conditional mean. So what a model makes "
            "up may be taken for what it knows, and the invented detail is a lower bound."
        ),
    ),
    NoticeKind(
        "anchor_not_a_mean",
        ("anchor", "closed_form"),
        "The anchor that was asked for does not behave like a conditional mean.",
        "Invented detail and gain of all models.",
        "Use a PSNR-oriented network as the anchor.",
        lambda facts: (
            f"The anchor, {facts['anchor']}, does not behave like a conditional mean: its closed "
            f"form is {_fixed(facts['closed_form'])} instead of 1. What it makes up itself may be "
            "taken for what can be known."
        ),
    ),
    NoticeKind(
        "anchor_explains_more",
        ("anchor", "models", "explained"),
        "The anchor explains more of the detail than some outputs do.",
        "Gain and invented detail of these models: if they know less, their wrong guesses count as "
        "invented.",
        "Compare with the lower bound (`invented_at_least`), or use an anchor that knows less.",
        lambda facts: (
            f"The anchor, {facts['anchor']}, explains {_percent(facts['explained'])} of the "
            f"detail, more than the outputs of {_list(facts['models'])}. Either what these make up "
            "hides what they know, or they know less than the anchor; then part of what counts as "
            "invented is a wrong guess. The lower bound needs no anchor."
        ),
    ),
    NoticeKind(
        "critic_missing",
        ("reason",),
        "The learned critic needs torch.",
        "The critic's two-sample test is missing; the one on features is still there.",
        "Install torch.",
        lambda facts: f"The learned critic was left out: {facts['reason']}",
    ),
    NoticeKind(
        "two_sample_test_left_out",
        ("n_images",),
        "The two-sample test needs at least two images.",
        "The two-sample AUC is missing.",
        "Add images.",
        lambda facts: (
            "The two-sample test needs at least two images and was left out: the query patches "
            f"come from {_many(facts['n_images'], 'image')}."
        ),
    ),
    NoticeKind(
        "tiles_blended",
        ("model", "image", "tile", "blended_over"),
        "A model sees further than the tiles that fit in memory, so its tiles are blended.",
        "The output of this model for this image, which differs from that in one piece.",
        "Use a machine or a GPU with more memory.",
        lambda facts: (
            f"Model {facts['model']} sees further than tiles of {facts['tile']} pixels allow: "
            f"they are blended over {facts['blended_over']} pixels, and the output for "
            f"{facts['image']} differs from that in one piece. A larger tile or memory budget "
            "avoids this."
        ),
    ),
    NoticeKind(
        "half_precision_failed",
        ("model", "image"),
        "A model outputs NaN or infinite values in half precision.",
        "Time: single precision is used instead.",
        "Nothing.",
        lambda facts: (
            f"Model {facts['model']} outputs NaN or infinite values in half precision; single "
            f"precision is used for {facts['image']}."
        ),
    ),
    NoticeKind(
        "smaller_tiles",
        ("model", "image", "tile", "smaller_tile"),
        "A model ran out of memory, so smaller tiles are used.",
        "Time.",
        "Nothing, or use a GPU with more memory.",
        lambda facts: (
            f"Model {facts['model']} ran out of memory with tiles of {facts['tile']} pixels for "
            f"{facts['image']}; tiles of {facts['smaller_tile']} pixels are used."
        ),
    ),
    NoticeKind(
        "out_of_memory_smaller_batches",
        ("step", "batch_size"),
        "Memory ran out, so smaller batches are used.",
        "Time.",
        "Nothing, or use a smaller `--memory`.",
        lambda facts: (
            f"Memory ran out while {_STEPS.get(facts['step'], facts['step'])}; batches of "
            f"{facts['batch_size']} are used."
        ),
    ),
    NoticeKind(
        "gpu_out_of_memory",
        ("step", "engine"),
        "The GPU ran out of memory, so the CPU is used for one step.",
        "Time.",
        "Nothing, or use a GPU with more memory.",
        _gpu_out_of_memory,
    ),
    NoticeKind(
        "groups_on_cpu",
        ("needed_bytes", "free_bytes"),
        "The reference images do not fit in the memory of the GPU.",
        "Time: groups are measured on the CPU.",
        "Nothing, or use a GPU with more memory.",
        lambda facts: (
            "Groups were measured on the CPU: the reference images need "
            f"{facts['needed_bytes'] / 2**30:.1f} GiB and the GPU has "
            f"{facts['free_bytes'] / 2**30:.1f} GiB free."
        ),
    ),
)

KINDS: Mapping[str, NoticeKind] = {kind.code: kind for kind in _ALL}
"""Every code that this version reports, the most important first."""


# -- showing --------------------------------------------------------------------------------------


def sentence(notice: Notice) -> str:
    """What a notice says to the reader of a result.

    Parameters
    ----------
    notice
        The notice; one that this version does not know, or whose facts it does not understand, is
        shown as its code and facts.

    Examples
    --------
    >>> sentence(Notice("images_skipped", {"n_files": 2}))
    '2 image files could not be used; the summary lists each with the reason.'
    >>> sentence(Notice("sun_spots", {"n": 3}))
    'sun_spots (n: 3)'
    """
    if notice.code in QUOTED:
        return _capitalized(str(notice.facts.get("text", "")))
    kind = KINDS.get(notice.code)
    if kind is None:
        return str(notice)
    try:
        return kind.sentence(notice.facts)
    except (KeyError, TypeError, ValueError):  # of another version
        return str(notice)


def notices(summary: AnalysisSummary | ComparisonSummary) -> list[Notice]:
    """The notices of a summary, the most important first, then those of unknown codes."""
    order = {code: place for place, code in enumerate(KINDS)}
    return sorted(summary.warnings, key=lambda notice: order.get(notice.code, len(order)))


def warnings(summary: AnalysisSummary | ComparisonSummary) -> list[str]:
    """The notices of a summary as sentences, the most important first."""
    return [sentence(notice) for notice in notices(summary)]


def details(texts: Iterable[str]) -> str:
    """Sentences as a folded HTML list for notebook cards; empty if there are no sentences."""
    items = [f"<li>{escape(text)}</li>" for text in texts]
    if not items:
        return ""
    return (
        f'<details style="margin-top:4px"><summary>{_many(len(items), "warning")}</summary>'
        f'<ul style="margin:4px 0 0 1.2em;padding:0">{"".join(items)}</ul></details>'
    )


def reference_table() -> str:
    """Every code as a Markdown table, for ``docs/warnings.md``."""
    rows = [
        "| Code | What it means | What it affects | What to do | Facts |",
        "| --- | --- | --- | --- | --- |",
    ]
    for kind in KINDS.values():
        facts = ", ".join(f"`{name}`" for name in kind.facts)
        rows.append(
            f"| `{kind.code}` | {kind.meaning} | {kind.affects} | {kind.advice} | {facts} |"
        )
    return "\n".join(rows)


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]
