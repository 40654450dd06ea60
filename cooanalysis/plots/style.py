"""One look for all figures: colors, fonts, sizes, text that fonts can draw, files without dates.

Figures are made without pyplot, so nothing global is left behind and no display is needed. Colors
are those of Okabe and Ito and the cividis and viridis maps: readable with every kind of color
vision and in grayscale.
"""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar

DPI = 150
WIDTH = 7.0
"""Inches: the text width of a two-column page."""

# Okabe and Ito (2008).
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE, GRAY = "#0072B2", "#D55E00", "#CC79A7", "#767676"
LIGHT = "#DDDDDD"
PALE = "#F3F3F3"

Look = Mapping[str, Any]
"""Keywords of matplotlib: color, marker, line."""

CENTER: dict[str, Any] = {"color": VERMILLION, "marker": "o"}
BICUBIC: dict[str, Any] = {"color": BLUE, "marker": "s"}
CLEAN: dict[str, Any] = {"color": BLACK, "marker": "D"}
CEILING: dict[str, Any] = {"color": GREEN, "marker": "^"}

STYLE: Mapping[str, Any] = MappingProxyType(
    {
        "axes.axisbelow": True,
        "axes.grid": True,
        "axes.labelsize": 8.0,
        "axes.linewidth": 0.6,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 8.5,
        "axes.titleweight": "bold",
        "errorbar.capsize": 2.5,
        "figure.dpi": DPI,
        "figure.facecolor": "white",
        "font.family": "DejaVu Sans",
        "font.size": 8.0,
        "grid.color": "#E4E4E4",
        "grid.linewidth": 0.5,
        "hatch.color": "#BBBBBB",
        "hatch.linewidth": 0.5,
        "legend.fontsize": 7.5,
        "legend.frameon": False,
        "lines.linewidth": 1.3,
        "lines.markersize": 4.5,
        "pdf.fonttype": 42,  # TrueType: text stays text in the PDF
        "savefig.dpi": DPI,
        "text.parse_math": False,  # file names may contain a dollar sign
        "xtick.labelsize": 7.5,
        "ytick.labelsize": 7.5,
    }
)

_OURS = "cooanalysis"
"""Label of the figures that were made here."""


# -- figures --------------------------------------------------------------------------------


def house_style(changes: Mapping[str, Any] | None = None) -> AbstractContextManager[None]:
    """The style, with changes if there are any, inside a ``with`` block."""
    style: Any = dict(STYLE) | dict(changes or {})  # the stubs want every key to be a literal
    return mpl.rc_context(style)


class ShownFigure(Figure):
    """A figure that Jupyter displays although pyplot, which usually sees to that, is not loaded."""

    def _repr_png_(self) -> bytes:
        return png_bytes(self)


def new_figure(fig: Figure | None, width: float, height: float) -> Figure:
    """The given figure, or an empty one of a size in inches."""
    if fig is not None:
        return fig
    fig = ShownFigure(figsize=(width, height), layout="constrained")
    fig.set_label(_OURS)
    FigureCanvasAgg(fig)
    return fig


def laid_out(fig: Figure) -> Figure:
    """Fix the layout: computing it takes longer than drawing.

    A figure that was passed in keeps the layout of its owner.
    """
    if fig.get_label() == _OURS and fig.get_layout_engine() is not None:
        with any_script():
            fig.draw_without_rendering()
        fig.set_layout_engine("none")
    return fig


def blank(fig: Figure | None, reason: str) -> Figure:
    """A figure that says why it shows nothing."""
    empty = new_figure(fig, WIDTH, 1.2)
    if fig is None:
        empty.set_layout_engine("none")  # constrained layout warns where there are no axes
    empty.text(0.5, 0.5, reason, ha="center", va="center", color=GRAY, wrap=True)
    return empty


@contextmanager
def any_script() -> Iterator[None]:
    """Draw file names in scripts that the font lacks as boxes, without warnings."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        yield


# -- files ----------------------------------------------------------------------------------


def save_figure(fig: Figure, file: IO[bytes], kind: str) -> None:
    """Write a figure as ``"png"`` or ``"pdf"``, without date or program name.

    Equal figures give equal bytes.
    """
    empty = {
        "png": {"Software": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }
    with house_style(), any_script():
        fig.savefig(file, format=kind, dpi=DPI, metadata=empty[kind])


def png_bytes(fig: Figure) -> bytes:
    """A figure as a PNG file; see :func:`save_figure`."""
    buffer = io.BytesIO()
    save_figure(fig, buffer, "png")
    return buffer.getvalue()


# -- axes -----------------------------------------------------------------------------------


def plain_log_axis(ax: Axes) -> None:
    """Label a logarithmic vertical axis that spans about a decade with plain numbers."""
    low, high = ax.get_ylim()
    subs = (1.0, 2.0, 5.0) if high / low < 300.0 else (1.0,)
    ax.yaxis.set_major_locator(LogLocator(subs=subs))
    ax.yaxis.set_major_formatter(FuncFormatter(plain_number))
    ax.yaxis.set_minor_formatter(NullFormatter())


def plain_number(value: float, _: object = None) -> str:
    """Format a tick: ``0.5``, ``20``."""
    return f"{value:g}"


def image_axes(ax: Axes, height: float, width: float) -> None:
    """Axes of an image of a size in pixels: no ticks, grid or frame."""
    ax.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)


def color_bar(bar: Colorbar, label: str) -> None:
    """Label a color bar and remove its frame."""
    bar.set_label(label)
    bar.outline.set_visible(False)


# -- text -----------------------------------------------------------------------------------


def printable(text: str, longest: int) -> str:
    """Text that a font can draw: no control characters or lone surrogates, not too long."""
    clean = text.encode("utf-8", "replace").decode("utf-8")
    clean = "".join(c if c.isprintable() else "?" for c in clean)
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def shortened(text: str, longest: int) -> str:
    """Like :func:`printable`, but cut in the middle: ends of names distinguish models."""
    clean = printable(text, len(text))
    if len(clean) <= longest:
        return clean
    tail = longest // 2
    return f"{clean[: longest - tail - 1]}…{clean[-tail:]}"


def minus(text: str) -> str:
    """The text with minus signs in place of hyphens."""
    return text.replace("-", "\N{MINUS SIGN}")


def wrapped(text: str, width: int) -> str:
    """The text in lines of at most this many characters."""
    return "\n".join(textwrap.wrap(text, width)) or text
