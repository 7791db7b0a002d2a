"""Where a candidate fails, from its stored validation predictions: classes, confusions, confidence, luck."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reports.analysis import Analysis
from reports.inference.comparison import FEWEST_SEEDS, Row
from reports.inference.wording import listed, many
from reports.records.evaluation import Evaluation
from reports.statistics import accuracy_interval

#: How a note on the data begins that makes results doubtful.
_WARNING = "WARNING: "
#: Confusions that are named; a class is rare with fewer validation images than this.
_PAIRS, _RARE = 3, 50
#: Confidence further than this from the accuracy is said to be too high or too low.
_HONEST = 0.02


@dataclass(frozen=True)
class OfClass:
    """Recall of one class over seeds, its interval (NaN of one image), and what it is mostly taken for."""

    name: str
    images: int
    recall: float
    low: float
    high: float
    taken_for: str
    share: float  # of its images, over all seeds


def by_class(evaluations: list[Evaluation], classes: tuple[str, ...], alpha: float) -> list[OfClass]:
    """Every class that has validation images, the worst first."""
    found = [_of_class(evaluations, classes, kind, alpha) for kind in np.unique(evaluations[0].labels)]
    return sorted(found, key=lambda one: one.recall)


def _of_class(evaluations: list[Evaluation], classes: tuple[str, ...], kind: int, alpha: float) -> OfClass:
    own = evaluations[0].labels == kind
    said = np.stack([one.probabilities[own].argmax(axis=1) for one in evaluations])
    right = (said == kind).astype(float)
    interval = accuracy_interval(right, groups=evaluations[0].groups[own], alpha=alpha)
    wrong = np.bincount(said[said != kind], minlength=len(classes))
    other = int(wrong.argmax())
    taken_for = classes[other] if wrong[other] else ""
    return OfClass(
        name=classes[kind],
        images=int(own.sum()),
        recall=float(right.mean()),
        low=interval.low,
        high=interval.high,
        taken_for=taken_for,
        share=wrong[other] / said.size,
    )


def weaknesses(analysis: Analysis, row: Row) -> tuple[str, ...]:
    """What a user of the model must know, a sentence each."""
    evaluations = analysis.evaluations_of(row.candidate)
    return (
        *_data(analysis),
        *_classes(evaluations, analysis.classes),
        *_confusions(evaluations, analysis.classes),
        _calibration(analysis, row, evaluations),
        *_overfitting(analysis, row),
        *_luck(row),
    )


def _data(analysis: Analysis) -> Iterator[str]:
    """What was warned of when the data were prepared."""
    for note in analysis.study.data.get("notes") or ():
        if note.startswith(_WARNING):
            yield note.removeprefix(_WARNING)


def _classes(evaluations: list[Evaluation], classes: tuple[str, ...]) -> Iterator[str]:
    found = by_class(evaluations, classes, 0.05)
    worst, best = found[0], found[-1]
    others = f"; of the best one, {best.name}, {100 * best.recall:.0f}%" if len(found) > 1 else ""
    yield (
        f"The worst class is {worst.name}: {100 * worst.recall:.0f}% of its {worst.images:,} validation "
        f"images are recognised{others}."
    )
    rare = [f"{one.name} ({one.images:,})" for one in found if one.images < _RARE]
    if rare:
        verb = "has" if len(rare) == 1 else "have"
        yield f"{listed(rare, 6)} {verb} fewer than {_RARE} validation images: what is said of them is vague."
    absent = sorted(set(range(len(classes))) - set(evaluations[0].labels.tolist()))
    if absent:
        told = listed([classes[kind] for kind in absent], 6)
        yield f"Of {told} there is no validation image, so nothing is known."


def _confusions(evaluations: list[Evaluation], classes: tuple[str, ...]) -> Iterator[str]:
    counts = _confused(evaluations, len(classes))
    both = counts + counts.T
    order = np.argsort(-np.triu(both, 1), axis=None, kind="stable")[:_PAIRS]
    pairs = [divmod(int(at), len(classes)) for at in order]
    wrong, all_said = counts.sum(), sum(len(one.labels) for one in evaluations)
    told = [f"{classes[a]} and {classes[b]} ({both[a, b] / wrong:.0%})" for a, b in pairs if both[a, b]]
    if told:
        yield (
            f"{wrong / all_said:.0%} of its answers are wrong. Most often it takes one for the other: "
            f"{listed(told)} of all mistakes."
        )


def _confused(evaluations: list[Evaluation], classes: int) -> NDArray[np.int64]:
    """How often each true class (rows) was taken for another (columns), over all seeds."""
    counts = np.zeros((classes, classes), np.int64)
    for one in evaluations:
        np.add.at(counts, (one.labels, one.probabilities.argmax(axis=1)), 1)
    np.fill_diagonal(counts, 0)
    return counts


def _calibration(analysis: Analysis, row: Row, evaluations: list[Evaluation]) -> str:
    said = float(np.mean([one.probabilities.max(axis=1).mean() for one in evaluations]))
    right = float(np.mean([(one.probabilities.argmax(axis=1) == one.labels).mean() for one in evaluations]))
    error = float(analysis.runs_of(row.candidate).ece.mean())
    told = f"its mean confidence is {said:.0%}, and {right:.0%} of its answers are right"
    calibration = f" (expected calibration error {error:.3f})" if error == error else ""
    if abs(said - right) <= _HONEST:
        return f"Its confidence is about right on average: {told}{calibration}."
    word = "surer than it should be" if said > right else "less sure than it could be"
    mended = "The scaled probabilities of a registered model mend this on average."
    return f"It is {word}: {told}{calibration}. {mended}"


def _overfitting(analysis: Analysis, row: Row) -> Iterator[str]:
    tau = analysis.rule.tau
    if row.relative_overfit == row.relative_overfit:
        place = "surely above" if row.relative_overfit_low > tau else "not surely above"
        yield (
            f"Relative overfit is {row.relative_overfit:.2f} ({row.relative_overfit_low:.2f} to "
            f"{row.relative_overfit_high:.2f}), {place} the limit of {tau:g} (0: as good on validation as on "
            "train; 1: all was learnt by heart)."
        )
    if abs(row.leak_delta) >= 0.001 and not analysis.study.folds:  # twins are in one fold
        yield (
            "Without the validation images that have a twin in the training side of the source, its "
            "accuracy is "
            f"{100 * (row.val_accuracy - row.leak_delta):.1f}%, not {100 * row.val_accuracy:.1f}%."
        )


def _luck(row: Row) -> Iterator[str]:
    if row.n_seeds < FEWEST_SEEDS:
        yield (
            f"It was trained with {many(row.n_seeds, 'seed', 'seeds')} only: another seed may give another "
            "accuracy, and how different is not known."
        )
