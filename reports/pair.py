"""Two trained networks on the same images: how far apart they are, and where."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reports import statistics
from reports.page.render import render
from reports.records.predictions import Predictions
from reports.statistics import Estimate
from search.safety.text import csv_row

#: Images that the page shows.
SHOWN = 120
_COLUMNS = ("image", "label", "a_says", "a_confidence", "b_says", "b_confidence", "right")


@dataclass(frozen=True)
class Disagreement:
    """One image that the two name differently. right: "a", "b" or "neither"."""

    image: str
    label: str
    a_says: str
    a_confidence: float
    b_says: str
    b_confidence: float
    right: str


@dataclass(frozen=True)
class Paired:
    """Network a beside network b. The difference is a minus b, with its interval over images alone."""

    a: str
    b: str
    where: str  # which images
    images: int
    a_accuracy: float
    b_accuracy: float
    difference: Estimate
    p: float  # McNemar's
    disagreements: tuple[Disagreement, ...]
    notes: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was found, for the terminal and the page."""
        found = self.difference
        points = [
            f"{100 * value:+.1f}".replace("+0.0", "0.0") for value in (found.estimate, found.low, found.high)
        ]
        decided = self._decided()
        return (
            f"A is right about {self.a_accuracy:.1%} of the {self.images:,} {self.where}, B about "
            f"{self.b_accuracy:.1%}.",
            f"A minus B: {points[0]} points, 95% interval {points[1]} to {points[2]} (McNemar's p "
            f"{'below 0.001' if self.p < 0.001 else format(self.p, '.2g')}): {decided}.",
            f"They name {len(self.disagreements):,} images differently: {self._right('a')} only A is right "
            f"about, "
            f"{self._right('b')} only B, {self._right('neither')} neither.",
        )

    def _right(self, who: str) -> int:
        return sum(one.right == who for one in self.disagreements)

    def _decided(self) -> str:
        if self.p >= 0.05:
            return "these two networks cannot be told apart"
        better = "A" if self.difference.estimate > 0 else "B"
        return f"{better} is the better of these two networks; another seed of either is another network"


def paired(
    a: tuple[str, Predictions],
    b: tuple[str, Predictions],
    where: str,
    classes: Sequence[str],
    notes: Sequence[str] = (),
) -> Paired:
    """Compare two named sets of answers to the same images.

    Args:
        a: A name and its answers.
        b: Another name and its answers to the same images.
        where: Which images these are, for readers.
        classes: Names of the classes, in the order of the probabilities.
        notes: Remarks to keep with the comparison.

    Returns:
        The paired difference, its test and the images on which the two differ.

    Raises:
        ValueError: If the images differ.
    """
    (a_name, ours), (b_name, theirs) = a, b
    if not np.array_equal(ours.ids, theirs.ids):
        raise ValueError(f"{a_name} and {b_name} were asked about different images")
    right = [one.correct.astype(float) for one in (ours, theirs)]
    return Paired(
        a=a_name,
        b=b_name,
        where=where,
        images=len(ours.ids),
        a_accuracy=ours.accuracy,
        b_accuracy=theirs.accuracy,
        difference=statistics.paired_difference(right[0][None], right[1][None], groups=ours.groups),
        p=statistics.mcnemar(right[0], right[1]),
        disagreements=tuple(_disagreement(ours, theirs, at, classes) for at in _apart(ours, theirs)),
        notes=tuple(notes),
    )


def _apart(ours: Predictions, theirs: Predictions) -> NDArray[np.int64]:
    """Where they differ: first what one of them is right about, the surest first."""
    apart = np.flatnonzero(ours.guesses != theirs.guesses)
    decided = (ours.correct | theirs.correct)[apart]
    confidence = (ours.probabilities.max(axis=1) + theirs.probabilities.max(axis=1))[apart]
    return apart[np.lexsort((ours.ids[apart], -confidence, ~decided))]


def _disagreement(ours: Predictions, theirs: Predictions, at: int, classes: Sequence[str]) -> Disagreement:
    return Disagreement(
        image=str(ours.ids[at]),
        label=classes[ours.labels[at]],
        a_says=classes[ours.guesses[at]],
        a_confidence=float(ours.probabilities[at].max()),
        b_says=classes[theirs.guesses[at]],
        b_confidence=float(theirs.probabilities[at].max()),
        right="a" if ours.correct[at] else "b" if theirs.correct[at] else "neither",
    )


def pair_csv(pair: Paired) -> str:
    """Every image that the two name differently."""
    with io.StringIO() as text:
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(_COLUMNS)
        rows = ([getattr(one, column) for column in _COLUMNS] for one in pair.disagreements)
        lines.writerows(map(csv_row, rows))
        return text.getvalue()


def pair_page(pair: Paired, pictures: Mapping[str, str]) -> str:
    """A page with the first images that the two name differently. pictures: image to data URI."""
    title = f"{pair.a} beside {pair.b}"
    return render("pair.html", title=title, home="#", plotly="", pair=pair, pictures=pictures, shown=SHOWN)
