"""One file per figure, found by its name in any folder here: it computes a small named tuple, then draws it.

A figure module has TITLE, READING (one sentence: how to read it), SECTION and ORDER, and three functions:
`compute(analysis) -> numbers` (raises NothingToDraw with the reason), `draw(numbers)` for the page (plotly)
and `picture(numbers)` for papers (matplotlib). Both draw the same numbers.

Public: `figure_names`, `load_figure`, `NothingToDraw`, `SECTIONS`. The folders follow the page: `certainty`,
`learning`, `errors`, `architecture`, `exploration`, `test_set`.
"""

from functools import cache
from importlib import import_module
from pkgutil import walk_packages
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from matplotlib.figure import Figure

    from reports.analysis import Analysis

SECTIONS = {
    "sure": "How sure can one be",
    "overfit": "Learning and overfitting",
    "errors": "What goes wrong",
    "network": "The architecture",
    "search": "How the search went",
    "test": "The test set",
}


class NothingToDraw(Exception):
    """This study has nothing for this figure; the message says what is missing."""


class FigureModule(Protocol):
    """What every module in this package offers."""

    TITLE: str
    READING: str
    SECTION: str
    ORDER: int

    def compute(self, analysis: "Analysis") -> Any:
        """Compute what both drawings show.

        Args:
            analysis: The study's records with its comparison and verdict.

        Returns:
            A named tuple of plain values and arrays.

        Raises:
            NothingToDraw: The study has nothing for this figure.
        """

    def draw(self, numbers: Any) -> "go.Figure":
        """Draw for the page.

        Args:
            numbers: What `compute` returned.

        Returns:
            An interactive plotly figure.
        """

    def picture(self, numbers: Any) -> "Figure":
        """Draw for a paper.

        Args:
            numbers: What `compute` returned.

        Returns:
            A matplotlib figure.
        """


def figure_names() -> tuple[str, ...]:
    """Every figure by file name, in the order of the page."""
    found = {name: load_figure(name) for name in _modules()}
    sections = list(SECTIONS)
    return tuple(
        sorted(found, key=lambda name: (sections.index(found[name].SECTION), found[name].ORDER, name))
    )


def load_figure(name: str) -> FigureModule:
    """The module of a figure.

    Args:
        name: One of `figure_names()`, such as "forest".
    """
    return cast(FigureModule, import_module(_modules()[name]))


@cache
def _modules() -> dict[str, str]:
    """The full name of each figure's module, by the figure's name."""
    found = (module.name for module in walk_packages(__path__, f"{__name__}.") if not module.ispkg)
    return {name.rpartition(".")[2]: name for name in found}
