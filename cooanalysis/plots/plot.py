"""What a figure is: a function from a record to a figure, and when it shows nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from matplotlib.figure import Figure

from cooanalysis.plots.style import blank, house_style, laid_out

R = TypeVar("R")


def always_there(record: object) -> str | None:
    """No reason: the figure always has something to show."""
    return None


@dataclass(frozen=True)
class Plot(Generic[R]):
    """One kind of figure; calling it draws the figure.

    Attributes
    ----------
    draw
        From a record, and the figure to draw into (None: a new one, see
        :func:`cooanalysis.plots.style.new_figure`), to the figure. Called in the style of the
        package, and only where ``missing`` finds nothing.
    title
        Heading in the report.
    missing
        The reason, one sentence, why there is nothing to show of a record; None if there is.
    caption
        Paragraph below the figure in the report. The report itself writes the captions of the
        figures that the package ships.
    """

    draw: Callable[[R, Figure | None], Figure]
    title: str
    missing: Callable[[R], str | None] = always_there
    caption: Callable[[R], str] | None = None

    def __call__(self, record: R, fig: Figure | None = None) -> Figure:
        """Draw the figure, or one that says why there is nothing to show.

        Parameters
        ----------
        record
            What to show.
        fig
            Figure to draw into; a new one if None.
        """
        reason = self.missing(record)
        with house_style():
            return blank(fig, reason) if reason else laid_out(self.draw(record, fig))
