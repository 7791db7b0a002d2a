"""What a source holds once its columns are understood: evaluations, as a search would have made them."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from search.imports.predictions import ImportedPredictions
from search.imports.table import Curves
from search.tracking import names


@dataclass(frozen=True)
class Result:
    """One training of one candidate.

    Attributes:
        candidate: Setting to text: what tells it apart, without what it does not have.
        seed: Its seed, or its place among the rows of its candidate.
        metrics: "val_accuracy", "train_loss", "parameters", ... to value; shares between 0 and 1.
        where: The row that it comes from, for messages.
        label: What to call the candidate: "conv_stages 4, dense_layers 2".
        state: One of search.tracking.names.STATES: complete, pruned, failed.
        reason: Why it is not complete.
        curves: Scores by epoch.
        predictions: What it said about each validation image.
    """

    candidate: Mapping[str, str]
    seed: int
    metrics: Mapping[str, float]
    where: str
    label: str = ""
    state: str = names.COMPLETE
    reason: str = ""
    curves: Curves = field(default_factory=dict)
    predictions: ImportedPredictions | None = None

    @property
    def identity(self) -> tuple[tuple[str, str], ...]:
        """What two runs of one candidate share; numbers count, not how they are written."""
        return tuple(sorted((name, canonical(value)) for name, value in self.candidate.items()))


@dataclass(frozen=True)
class Results:
    """What a source holds.

    Attributes:
        evaluations: By candidate, then by seed, in the order in which candidates are first named.
        images: Number of validation images; None where nobody says.
        test_images: Number of test images; None where nobody says.
        guess: How the columns were understood, sentence by sentence.
        findings: What is wrong with the records, sentence by sentence.
    """

    evaluations: tuple[Result, ...]
    images: int | None
    test_images: int | None
    guess: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()

    @property
    def complete(self) -> tuple[Result, ...]:
        """The evaluations that came to their end."""
        return tuple(one for one in self.evaluations if one.state == names.COMPLETE)

    @property
    def candidates(self) -> tuple[tuple[Result, ...], ...]:
        """The complete evaluations of each candidate."""
        return tuple(map(tuple, grouped(self.complete).values()))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, where the predictions have them."""
        held = (one.predictions.class_names for one in self.complete if one.predictions)
        return next(held, ())


def grouped(found: Sequence[Result]) -> dict[tuple[tuple[str, str], ...], list[Result]]:
    """The evaluations of each candidate, in the order in which candidates are first named.

    Args:
        found: Evaluations.
    """
    groups: defaultdict[tuple[tuple[str, str], ...], list[Result]] = defaultdict(list)
    for one in found:
        groups[one.identity].append(one)
    return groups


def canonical(text: str) -> str:
    """A setting in one way of writing it: "0.10", "1e-1" and "0.1" are one.

    Args:
        text: The cell.
    """
    try:
        return repr(float(text)) if re.fullmatch(r"[+-]?[\d.]+(?:e[+-]?\d+)?", text.lower()) else text
    except ValueError:
        return text
