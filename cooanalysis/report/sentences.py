"""From numbers to sentences: every claim made here is one that the intervals support.

All functions are pure: they take the summary of a run (see ``schemas/summary.schema.json``)
and return plain text, which is escaped where it enters a page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

NOT_AVAILABLE = "not available"
STRONG = 0.5
"""A rank correlation whose whole interval lies above this is called a law that holds."""

Summary = Mapping[str, Any]


# -- numbers --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Number:
    """A number with its 95 % interval; anything may be missing.

    Attributes
    ----------
    value, low, high
        The number and the ends of its interval; None where not available.
    """

    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, estimate: Any) -> Number:
        """Read an estimate of the summary; what is missing or not finite becomes None."""
        if not isinstance(estimate, Mapping):
            return cls(None, None, None)
        value, low, high = (_finite(estimate.get(k)) for k in ("value", "ci_low", "ci_high"))
        if value is None or low is None or high is None:
            return cls(value, None, None)
        return cls(value, low, high)

    def above(self, limit: float) -> bool:
        """Whether the whole interval lies above ``limit``; False without an interval."""
        return self.low is not None and self.low > limit

    def below(self, limit: float) -> bool:
        """Whether the whole interval lies below ``limit``; False without an interval."""
        return self.high is not None and self.high < limit

    def text(self, digits: int, unit: str = "", factor: float = 1.0) -> str:
        """The number with its interval.

        Examples
        --------
        >>> Number(1.31, 1.29, 1.33).text(2, "×")
        '1.31× (1.29–1.33)'
        >>> Number(0.042, 0.039, 0.045).text(1, " %", factor=100)
        '4.2 % (3.9–4.5)'
        >>> Number(None, None, None).text(2)
        'not available'
        """
        if self.value is None:
            return NOT_AVAILABLE
        interval = self.interval(digits, factor)
        return self.plain(digits, unit, factor) + (f" ({interval})" if interval else "")

    def plain(self, digits: int, unit: str = "", factor: float = 1.0) -> str:
        """The number without its interval."""
        return NOT_AVAILABLE if self.value is None else _digits(factor * self.value, digits) + unit

    def interval(self, digits: int, factor: float = 1.0) -> str:
        """The interval alone, or nothing."""
        if self.low is None or self.high is None:
            return ""
        low, high = _digits(factor * self.low, digits), _digits(factor * self.high, digits)
        # A dash between negative numbers cannot be read.
        return f"{low} to {high}" if self.low < 0 else f"{low}–{high}"


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def _digits(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def count(value: Any) -> str:
    """A whole number with separators.

    Examples
    --------
    >>> count(881600)
    '881,600'
    """
    number = _finite(value)
    return NOT_AVAILABLE if number is None else f"{number:,.0f}"


def size(n_bytes: Any) -> str:
    """Bytes for people.

    Examples
    --------
    >>> size(3 * 2**30)
    '3.0 GiB'
    """
    number = _finite(n_bytes)
    if number is None:
        return NOT_AVAILABLE
    return f"{number / 2**30:.1f} GiB" if number >= 2**30 else f"{number / 2**20:.0f} MiB"


def seconds(value: Any) -> str:
    """A duration for people.

    Examples
    --------
    >>> seconds(0.034), seconds(83)
    ('0.03 s', '1 min 23 s')
    """
    number = _finite(value)
    if number is None:
        return NOT_AVAILABLE
    if number < 60:
        return f"{number:.2f} s" if number < 10 else f"{number:.0f} s"
    minutes, rest = divmod(round(number), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


# -- parts of the summary -------------------------------------------------------------------


def patch(summary: Summary) -> str:
    """Size of an LR patch, such as ``5×5``."""
    width = config(summary).get("patch_width", "?")
    return f"{width}×{width}"


def config(summary: Summary) -> Mapping[str, Any]:
    """The configuration, empty if there is none."""
    value = summary.get("config")
    return value if isinstance(value, Mapping) else {}


def leading_estimator(summary: Summary) -> str | None:
    """Name of the estimator that ranks."""
    names = list(config(summary).get("estimators") or summary.get("entropy") or [])
    return str(names[0]) if names else None


def leading_space(summary: Summary) -> Mapping[str, Any] | None:
    """The first feature space that was measured and carries no warning."""
    for space in (summary.get("manifold") or {}).values():
        if "missing" not in space and not space.get("warning"):
            return dict(space)
    return None


def single_patch_intervals(summary: Summary) -> bool:
    """Whether intervals come from single patches, because there are too few images."""
    return "single patches" in str(summary.get("uncertainty", ""))


# -- sentences ------------------------------------------------------------------------------


def question(summary: Summary) -> str:
    """Say in one sentence what was asked of which data."""
    data, reference = summary.get("dataset") or {}, summary.get("reference") or {}
    settings = config(summary)
    whose = (
        "from the other images of the same set ("
        if reference.get("same_as_dataset")
        else f"from {reference.get('title')} ({_images(reference.get('n_images'))}, "
    )
    how = (
        "in the same cluster"
        if settings.get("grouping") == "kmeans"
        else "whose low-resolution (LR) patch looks most alike"
    )
    return (
        f"At scale ×{summary.get('scale')}, how many different high-resolution (HR) patches could "
        f"stand behind one {patch(summary)}-pixel LR patch of {data.get('title')} "
        f"({_images(data.get('n_images'))})? For each of {count(summary.get('n_queries'))} query "
        f"patches we took the {settings.get('k', '?')} HR patches {how}, {whose}"
        f"{count(summary.get('n_reference_patches'))} patches)."
    )


def _images(n: Any) -> str:
    return f"{count(n)} image" + ("" if n == 1 else "s")


def verdict(summary: Summary, gaps: Mapping[str, Number] | None = None) -> list[str]:
    """The outcome in three or four sentences; ``gaps`` as in :func:`ceiling`."""
    return [
        sentence
        for sentence in (law(summary), detail(summary), manifold(summary), ceiling(summary, gaps))
        if sentence
    ]


def law(summary: Summary) -> str:
    """Say whether centers lie the farther from their group the higher its entropy is."""
    number = Number.of(summary.get("spearman_entropy_center_distance"))
    shown = f"rank correlation {number.text(3)}"
    if number.value is None:
        return "Whether the center strays with rising entropy could not be measured."
    if number.low is None:
        return f"Entropy and center distance: {shown}, without an interval, so nothing is claimed."
    if number.above(STRONG):
        return (
            "The law holds: the more ambiguous a low-resolution patch is, the farther the average "
            f"answer lies from the real patches behind it: {shown}."
        )
    if number.above(0.0):
        return (
            "The law holds weakly: ambiguous patches tend to have an average answer farther from "
            f"the real patches behind them: {shown}."
        )
    if number.below(0.0):
        return (
            "The law does not hold here: the average answer lies nearer to the real patches where "
            f"these are more ambiguous: {shown}."
        )
    return f"No relation between entropy and center distance can be told from chance: {shown}."


def detail(summary: Summary) -> str:
    """Say how much detail the center keeps, and whether less where entropy is higher."""
    number = Number.of(summary.get("detail_energy"))
    if number.value is None:
        return "How much detail the average answer keeps could not be measured."
    text = f"The average answer keeps {number.text(1, ' %', 100.0)} of the true detail energy"
    chance = Number.of(summary.get("detail_energy_by_chance"))
    if chance.value is not None:
        text += f" ({chance.plain(1, ' %', 100.0)} by chance, for it averages a finite group)"
    rows = summary.get("detail_energy_by_decile") or []
    if len(rows) < 2:
        return text + "."
    first, last = (Number.of(rows[i].get("retained")) for i in (0, -1))
    most, least = "the most certain tenth of the patches", "the most ambiguous"
    low, high = (number.plain(1, " %", 100.0) for number in (first, last))
    ends = f"from {low} for {most} to {high} for {least}"
    if last.high is not None and first.above(last.high):
        return f"{text}, falling {ends}."
    if first.high is not None and last.above(first.high):
        return f"{text}, rising {ends}."
    return (
        f"{text}: {low} for {most} and {high} for {least}, but their intervals do not exclude that "
        "they are equal."
    )


def manifold(summary: Summary) -> str:
    """Say how far centers lie from the clean patches, in a space that can tell."""
    space = leading_space(summary)
    if space is None:
        return "How far the average answer lies from clean patches could not be measured reliably."
    center, bicubic = Number.of(space.get("center_ratio")), Number.of(space.get("bicubic_ratio"))
    if center.value is None or center.low is None or center.high is None:
        return "How far the average answer lies from clean patches could not be measured."
    where = f" (in {space.get('title')}, our calibrated ratio)"
    if center.above(1.0):
        text = (
            f"Center patches lie {center.text(2, '×')} as far from clean patches as clean patches "
            "themselves do"
        )
    elif center.below(1.0):
        text = (
            f"Center patches lie nearer to clean patches than clean patches themselves do, "
            f"{center.text(2, '×')}, which says nothing about their sharpness"
        )
    else:
        text = (
            "Center patches cannot be told from clean patches by their distance, "
            f"{center.text(2, '×')}"
        )
    if bicubic.above(center.high):
        text += f"; plain bicubic upsampling {bicubic.text(2, '×')}"
    return text + where + "."


def ceiling(summary: Summary, gaps: Mapping[str, Number] | None = None) -> str:
    """Say what the PSNR ceiling is and how near the center comes.

    Parameters
    ----------
    summary
        The summary.
    gaps
        How far the ceiling lies above ``center`` (and ``bicubic``) on the same patches, in dB.
    """
    top, center = (Number.of(summary.get(k)) for k in ("psnr_ceiling_db", "psnr_center_db"))
    if top.value is None:
        return "The PSNR ceiling was not computed."
    entry = summary["psnr_ceiling_db"]
    if entry.get("trusted") is False:
        return (
            f"The PSNR ceiling for methods that see only a {patch(summary)} LR patch could not be "
            f"established: the estimate of {top.text(2, ' dB')} is not trusted, because "
            f"{entry.get('reason')}."
        )
    text = (
        f"By our estimate no method that sees only a {patch(summary)} LR patch can exceed "
        f"{top.text(2, ' dB')} PSNR on these patches, judged with this reference set"
    )
    if center.value is None:
        return text + "."
    if top.high is not None and center.above(top.high):
        return (
            f"The average answer reaches {center.text(2, ' dB')}, above the estimated ceiling of "
            f"{top.text(2, ' dB')}, so the ceiling cannot be trusted here."
        )
    gap = (gaps or {}).get("center")
    if gap is not None and gap.above(0.0):
        return text + f"; the average answer stays {gap.text(2, ' dB')} below that."
    return text + f"; the average answer reaches {center.text(2, ' dB')}."


def caveats(summary: Summary) -> list[str]:
    """What a reader must know before believing the numbers, most important first."""
    notes = []
    if single_patch_intervals(summary):
        notes.append(
            "All intervals come from single patches, because there are too few images to resample. "
            "Patches of one image resemble each other, so the true uncertainty is larger."
        )
    doubted = [
        f"{estimator_title(name)} ({entry['reliability'].get('reason')})"
        for name, entry in (summary.get("entropy") or {}).items()
        if (entry.get("reliability") or {}).get("trusted") is False
    ]
    if doubted:
        notes.append(
            "Absolute entropies are not to be trusted here for: " + "; ".join(doubted)
            + ". Rankings and correlations suffer less."
        )  # fmt: skip
    space = leading_space(summary)
    if space is not None:
        check = Number.of(space.get("clean_ratio"))
        if check.above(1.1) or check.below(0.9):
            notes.append(
                f"The clean check gives {check.text(2, '×')} instead of 1: the two halves of the "
                "clean patches differ, so small differences between ratios mean little."
            )
    null = Number.of((summary.get("two_sample_auc") or {}).get("clean_null"))
    if null.above(0.5) or null.below(0.5):
        notes.append(
            f"The check of the classifier, clean against clean, gives AUC {null.text(3)} instead "
            "of 0.5, so its other scores are slightly off."
        )
    leakage = summary.get("leakage") or {}
    if leakage.get("n_pairs") and not leakage.get("excluded"):
        notes.append(
            f"{count(leakage['n_pairs'])} reference images show the content of query images and "
            "were not excluded: every number here is too optimistic."
        )
    return notes


def warnings(summary: Summary) -> list[str]:
    """Caveats, then the run's own warnings that no caveat already covers."""
    covered = ("single patches", "absolute values are not to be trusted", "NOT excluded")
    rest = [
        text[:1].upper() + text[1:]
        for text in map(str, summary.get("warnings") or [])
        if not any(part in text for part in covered)
    ]
    return [*caveats(summary), *rest]


# -- captions -------------------------------------------------------------------------------

_TITLES = {
    "gaussian": "Gaussian fit",
    "kozachenko-leonenko": "Kozachenko–Leonenko",
    "copula": "Gaussian copula",
}


def estimator_title(name: str) -> str:
    """Name of an estimator as printed."""
    return _TITLES.get(name, name)


def law_caption(summary: Summary, below_bound: Mapping[str, float] | None = None) -> str:
    """Explain the law figure.

    Parameters
    ----------
    summary
        The summary.
    below_bound
        Share of the query patches below the bound, per estimator.
    """
    number = Number.of(summary.get("spearman_entropy_center_distance"))
    shares = below_bound or {}
    below = ", ".join(
        f"{estimator_title(name)} {100 * share:.1f} %"
        for name, share in shares.items()
        if share >= 0.0005
    )
    text = (
        "Each panel holds the query patches; dark cells hold many (the few noted as outside have "
        "members that are nearly equal, and lie far to the left). Right means more ambiguous: "
        "many different real patches share the same LR patch. Up means that their average lies "
        "farther from them. "
    )
    if number.above(STRONG):
        text += "The cloud rises: ambiguity drives the average away from the real patches. "
    text += (
        "Nothing can lie below the dashed line: for any distribution the distance is at least the "
        "square root of its entropy power. A group far above it spreads in few "
        "directions only, or falls into clusters. "
    )
    if below:
        text += f"Patches found below it all the same (estimates that are too high): {below}. "
    return text + (
        "The panels differ only in how the entropy is estimated; the Gaussian fit is itself "
        "computed from the spread, so the others are the independent check. Spearman's rank "
        "correlation is that of the distance over the whole patch, with its 95 % interval."
    )


def detail_caption(summary: Summary) -> str:
    """Explain the detail figure."""
    number = Number.of(summary.get("detail_energy"))
    lost = "" if number.value is None or number.value > 1 else (
        f" Averaged over all, {100 * (1 - number.value):.1f} % of the energy is gone: that is the "
        "blur one sees."
    )  # fmt: skip
    return (
        "Detail is what an HR patch holds beyond bicubic upsampling of its LR patch. A model "
        "trained with L1 or L2 answers with the average of all HR patches that fit, and details "
        "that disagree cancel. Bars: what is left, by entropy of the patch in ten equal parts. "
        "Dotted line: what the average of as many details would keep that have nothing in common."
        + lost
    )


def manifold_caption(summary: Summary) -> str:
    """Explain the figure of calibrated distances."""
    text = (
        "Distance to the nearest clean patches, divided by the same distance of clean patches that "
        "were held out: 1 means as close as a real sharp patch, more means that hardly any clean "
        "image has such a patch. The black diamonds check the ruler itself. "
    )
    space = leading_space(summary)
    rows = [Number.of(r) for r in (space or {}).get("center_ratio_by_quartile") or []]
    if len(rows) == 4 and rows[0].high is not None and rows[3].above(rows[0].high):
        text += (
            f"The center's ratio grows from {rows[0].plain(2)} for the quarter of lowest entropy "
            f"to {rows[3].plain(2)} for the highest. "
        )
    if any(s.get("warning") for s in (summary.get("manifold") or {}).values()):
        text += (
            "The hatched space is a warning, not a result: in plain pixels blurred patches lie "
            "near everything, so blur looks cleaner than clean. Do not use it to rank models. "
        )
    return text + auc_sentence(summary)


def auc_sentence(summary: Summary) -> str:
    """Say whether a classifier tells centers from clean patches."""
    tests = summary.get("two_sample_auc") or {}
    center, null = Number.of(tests.get("center")), Number.of(tests.get("clean_null"))
    if center.value is None:
        return "The two-sample test is not available."
    scores = f"AUC {center.text(3)}, for clean against clean {null.text(3)}"
    if null.high is not None and center.above(max(0.5, null.high)):
        return (
            f"A classifier agrees that centers are not clean patches: {scores}; 0.5 is chance, "
            "1 certain."
        )
    return f"A classifier does not tell centers from clean patches: {scores}; 0.5 is chance."


def ceiling_caption(summary: Summary, gaps: Mapping[str, Number] | None = None) -> str:
    """Explain what the ceiling is and what it is not.

    Parameters
    ----------
    summary
        The summary.
    gaps
        How far the ceiling lies above ``center`` and ``bicubic`` on the same patches, in dB.
    """
    entry = summary.get("psnr_ceiling_db") or {}
    method, half = entry.get("method"), _finite(entry.get("half_k_db"))
    told = ""
    if half is not None:
        told = (
            f"With only the nearer half of each group it would be {half:.2f} dB: the difference "
            "shows how much the width of the groups matters. "
        )
    center, bicubic = ((gaps or {}).get(name) for name in ("center", "bicubic"))
    if center is not None and center.value is not None:
        told += (
            f"On the same patches the ceiling lies {center.text(2, ' dB')} above the center"
            + (f" and {bicubic.text(2, ' dB')} above bicubic" if bicubic is not None else "")
            + "; compare these differences, for the intervals in the plot mostly show how much "
            "images differ. "
        )
    return (
        f"Where many HR patches share one LR patch, even the best guess has an error. Its size "
        f"follows from the entropy, and with it the highest PSNR that any method can reach which "
        f"sees only {patch(summary)} LR pixels. It is an estimate with this reference set, in "
        "which the members of a group resemble the query's LR patch without being equal to it; a "
        "denser reference set, or a method that sees a larger neighborhood, can lie above it. "
        "PSNR is that of the mean squared error over all query patches (not of whole images, not "
        "the mean of their PSNRs), so do not compare it with benchmark tables. "
        + told
        + (f"Method: {method}." if method else "")
    )


def maps_caption(summary: Summary) -> str:
    """Explain the entropy maps."""
    text = (
        "Left the image, right how ambiguous each place is once it is shrunk "
        f"×{summary.get('scale')}: bright where many different details would fit, dark where the "
        "LR patch settles them."
    )
    if config(summary).get("normalize", True):
        text += (
            " Entropy is relative to the contrast of the patch, so a flat area with faint texture "
            "can be bright."
        )
    return text


def examples_caption(summary: Summary) -> str:
    """Explain the example groups."""
    return (
        "Each row is one query. All members look (nearly) the same when shrunk to the LR patch, "
        "yet differ. Their average, the center, is what a model trained with a pixel loss answers. "
        "Top: most ambiguous; bottom: least. Members are brought to the query's brightness and "
        "contrast; within a row all pictures share one gray scale."
    )


ALT_TEXTS = {
    "entropy_vs_center_distance": "Density plot: distance of the center against entropy",
    "detail_energy": "Bar and line chart: detail energy kept by the center, by entropy decile",
    "manifold_distances": "Dot plot: distance of center and bicubic patches to clean patches",
    "psnr_ceiling": "Dot plot: PSNR of bicubic, center and ceiling",
    "entropy_maps": "Images with their entropy laid over in color",
    "example_groups": "Rows of patches: LR patch, members, center, truth and bicubic",
}


def alt_text(name: str, summary: Summary) -> str:
    """Describe a figure with the run's numbers, for those who cannot see it."""
    told = {
        "entropy_vs_center_distance": law,
        "detail_energy": detail,
        "manifold_distances": manifold,
        "psnr_ceiling": ceiling,
    }
    text = ALT_TEXTS.get(name, name.replace("_", " ")) + "."
    return f"{text} {told[name](summary)}" if name in told else text


# -- how it was computed --------------------------------------------------------------------


def computed(summary: Summary) -> list[tuple[str, str]]:
    """Facts about the computation: name and text."""
    engine, data = summary.get("engine") or {}, summary.get("dataset") or {}
    source = data.get("lr_source") or {}
    made, given = source.get("made") or 0, source.get("dataset") or 0
    index = f"{engine.get('index')} index, {engine.get('engine')}"
    if engine.get("effort") is not None:
        index += f", effort {engine['effort']}"
    facts = [
        ("LR images", f"{count(given)} from the data set, {count(made)} made here (bicubic)"),
        ("Groups", grouping(summary)),
        ("Neighbor search", f"{index}, on {summary.get('device', '?')}"),
        ("Recall of the index", recall(summary)),
        ("Time", seconds((summary.get("timings_s") or {}).get("total"))),
        ("Peak memory", size(summary.get("peak_rss_bytes"))),
        ("Intervals", str(summary.get("uncertainty") or "95 % bootstrap intervals")),
        ("Leakage", leakage(summary)),
        ("Seed", str(summary.get("seed"))),
    ]
    return facts


def grouping(summary: Summary) -> str:
    """How groups were formed."""
    k = config(summary).get("k", "?")
    if (summary.get("engine") or {}).get("grouping") == "kmeans":
        return f"{k} members of the query's k-means cell of HR patches"
    return f"the {k} nearest LR patches, never from the query's own image"


def recall(summary: Summary) -> str:
    """Recall of the neighbor index, or why there is none."""
    entry = summary.get("recall_at_k")
    if not isinstance(entry, Mapping):
        return "not available (k-means groups need no index)"
    if entry.get("exact"):
        return "1 (exact search)"
    return (
        f"recall@{entry.get('k')} {Number.of(entry).text(4)}, measured against exact search on "
        f"{count(entry.get('n_queries'))} queries of this run"
    )


def leakage(summary: Summary) -> str:
    """What the search for shared content found."""
    entry = summary.get("leakage") or {}
    if not entry.get("checked"):
        return "not checked"
    if not entry.get("n_pairs"):
        return "no query image has its content in another reference image"
    excluded = "kept from serving those queries" if entry.get("excluded") else "NOT excluded"
    pairs = count(entry["n_pairs"])
    return f"{pairs} pairs of query and reference images share content, {excluded}"


# -- tiles and cards ------------------------------------------------------------------------


@dataclass(frozen=True)
class Tile:
    """A headline number.

    Attributes
    ----------
    label, value, interval, note
        What it is, the number with unit, its 95 % interval (or nothing) and what it means.
    """

    label: str
    value: str
    interval: str
    note: str


def tiles(summary: Summary) -> list[Tile]:
    """The headline numbers."""
    out = []

    def add(
        label: str, estimate: Any, digits: int, unit: str, note: str, factor: float = 1.0
    ) -> None:
        number = Number.of(estimate)
        out.append(
            Tile(label, number.plain(digits, unit, factor), number.interval(digits, factor), note)
        )

    space = leading_space(summary) or {}
    leading = leading_estimator(summary)
    entropy = (summary.get("entropy") or {}).get(leading) or {}
    trusted = (entropy.get("reliability") or {}).get("trusted") is not False
    believed = (summary.get("psnr_ceiling_db") or {}).get("trusted") is not False
    add(
        "Entropy against center distance", summary.get("spearman_entropy_center_distance"), 3, "",
        "rank correlation; 1 = the center strays strictly with entropy",
    )  # fmt: skip
    add(
        "Detail kept by the center", summary.get("detail_energy"), 1, " %",
        "of the true detail energy; 100 % = as much as the truth", 100.0,
    )  # fmt: skip
    add(
        "Center to clean patches", space.get("center_ratio"), 2, "×",
        "of the distance between clean patches; 1 = like a clean patch",
    )  # fmt: skip
    add(
        "PSNR ceiling", summary.get("psnr_ceiling_db"), 2, " dB",
        f"for anything that sees only {patch(summary)} LR pixels"
        + ("" if believed else "; not trusted"),
    )  # fmt: skip
    add(
        "Mean entropy of a group", entropy.get("mean"), 2, " nats",
        f"per dimension, {estimator_title(leading or '')}" + ("" if trusted else "; not trusted"),
    )  # fmt: skip
    return out


def summary_card(summary: Summary) -> str:
    """Return a small HTML fragment with the headline numbers, for notebooks.

    Styles are inline, so that nothing else on the page changes.

    Parameters
    ----------
    summary
        The summary of a run.

    Returns
    -------
    str
        HTML; all text from files is escaped.
    """
    data = summary.get("dataset") or {}
    cell = "padding:2px 14px 2px 0;text-align:left;vertical-align:baseline;border:0;background:none"
    rows = "".join(
        f'<tr style="background:none"><th scope="row" style="{cell};font-weight:normal">'
        f'{escape(tile.label)}</th><td style="{cell};font-weight:bold;white-space:nowrap">'
        f'{escape(tile.value)}</td><td style="{cell};opacity:.75;white-space:nowrap">'
        f'{escape(tile.interval)}</td><td style="{cell};opacity:.75">{escape(tile.note)}</td></tr>'
        for tile in tiles(summary)
    )
    title = (
        f"{data.get('title')} ×{summary.get('scale')}: {count(summary.get('n_queries'))} queries, "
        f"{count(summary.get('n_reference_patches'))} reference patches"
    )
    notes = warnings(summary)
    warned = "".join(f"<li>{escape(note)}</li>" for note in notes)
    details = (
        f'<details style="margin-top:4px"><summary>{_warning_count(notes)}</summary>'
        f'<ul style="margin:4px 0 0 1.2em;padding:0">{warned}</ul></details>'
        if notes
        else ""
    )
    return (
        '<div style="font-family:system-ui,sans-serif;font-size:13px;line-height:1.4;'
        "border:1px solid rgba(128,128,128,.4);border-radius:6px;padding:10px 14px;"
        f'max-width:62em"><div style="font-weight:bold;margin-bottom:6px">{escape(title)}</div>'
        '<table style="font-size:inherit;border-collapse:collapse;border:0;margin:0">'
        f"{rows}</table>"
        '<div style="opacity:.75;margin-top:4px">third column: 95 % intervals</div>'
        f"{details}</div>"
    )


def _warning_count(notes: list[str]) -> str:
    return f"{len(notes)} warning" + ("" if len(notes) == 1 else "s")


def plain_items(values: Any) -> list[tuple[str, str]]:
    """Keys and values as text, for tables."""
    if not isinstance(values, Mapping):
        return []
    return [
        (str(key), ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value))
        for key, value in values.items()
    ]
