"""What scores alone allow to say, where no predictions were kept.

The seeds' share of the noise is seen in the scores. The images' share is not: how often two networks are
wrong about the same images is unknown. Networks that learn one task are wrong together at least as often as
by chance, so the binomial variances of both are the most that it can be. Intervals are therefore wider than
with predictions, and claims fewer.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from reports import statistics

ALPHA = 0.05
_NAMED = 5  # candidates in one sentence


@dataclass(frozen=True)
class ScoreInterval:
    """The accuracy of one candidate from scores alone.

    Attributes:
        candidate: Its name.
        scores: Validation accuracies, a share for each seed.
        images: Number of validation images; None where it is unknown.
        low: Lower end of the 95% interval; NaN where none can be given.
        high: Its upper end.
    """

    candidate: str
    scores: tuple[float, ...]
    images: int | None
    low: float
    high: float

    @property
    def mean(self) -> float:
        """The mean over seeds, a share."""
        return float(np.mean(self.scores))


@dataclass(frozen=True)
class ScoreComparison:
    """Candidates by scores alone.

    Attributes:
        rows: Candidates, the highest mean first.
        better: Pairs (better, worse) that can be told apart; wrong in at most 5% of studies, all together.
    """

    rows: tuple[ScoreInterval, ...]
    better: tuple[tuple[str, str], ...]

    def row(self, candidate: str) -> ScoreInterval:
        """The interval of one candidate. Raises KeyError for an unknown one."""
        return {row.candidate: row for row in self.rows}[candidate]


def compare_scores(
    scores: Mapping[str, Sequence[float]], images: int | None, looks: int = 1
) -> ScoreComparison:
    """Compare candidates by their scores.

    Each pair is compared with Student's t-test on the seeds, to whose variance the binomial variances of both
    are added; the degrees of freedom are those of the fewer seeds. Bonferroni's correction is over all pairs.
    Without a second seed of both, or without the number of images, nothing is claimed.

    Args:
        scores: Candidate to validation accuracies, a share for each seed; at least one each.
        images: Number of validation images, the same for all; None where it is unknown.
        looks: How often the scores were looked at, this time included; all looks together are wrong in at
            most 5% of studies.

    Returns:
        The candidates with intervals, and the pairs that differ.
    """
    rows = sorted(
        (ScoreInterval(name, tuple(own), images, *_interval(own, images)) for name, own in scores.items()),
        key=lambda row: (-row.mean, row.candidate),
    )
    pairs = math.comb(len(rows), 2)
    alpha = statistics.alpha_of_look(looks, ALPHA) / max(pairs, 1)
    better = _better(rows, images, alpha) if images else ()
    return ScoreComparison(tuple(rows), tuple(better))


def score_sentences(
    comparison: ScoreComparison, labels: Mapping[str, str], findings: Sequence[str] = ()
) -> Iterator[str]:
    """What can be said, how sure it is, what is missing and what is wrong with the records.

    Args:
        comparison: The candidates.
        labels: What to call each of them.
        findings: What is wrong with the records.
    """
    rows = comparison.rows
    best = rows[0]
    seeds = [len(row.scores) for row in rows]
    counted = f"{min(seeds)}" if min(seeds) == max(seeds) else f"{min(seeds)} to {max(seeds)}"
    yield (
        f"{len(rows)} candidates, {counted} run{'s' * (max(seeds) > 1)} each"
        f"{f', on {best.images:,} validation images' if best.images else ''}: scores alone, no predictions."
    )
    beaten = [worse for first, worse in comparison.better if first == best.candidate]
    told = f"{labels.get(best.candidate, best.candidate)} has the highest mean, {_percent(best)}"
    equal = [row for row in rows[1:] if row.candidate not in beaten]
    if len(rows) == 1:
        yield f"{told}."
    elif not equal:
        yield f"{told}, and is better than every other candidate (95% sure, all comparisons together)."
    else:
        shown = [f"{labels.get(row.candidate, row.candidate)} ({_percent(row)})" for row in equal]
        yield f"{told}. It cannot be told apart from {_listed(shown)}."
        if beaten:
            yield f"It is better than {_listed([labels.get(name, name) for name in beaten])} (95% sure)."
    yield from _missing(rows)
    yield from known_problems(findings)


def known_problems(findings: Sequence[str]) -> Iterator[str]:
    """What is wrong with the records, as sentences.

    Args:
        findings: Clauses without a full stop.
    """
    for finding in findings:
        yield f"Known problem: {finding}."


def _missing(rows: Sequence[ScoreInterval]) -> Iterator[str]:
    """What to record next time."""
    if any(len(row.scores) == 1 for row in rows):
        yield (
            "No winner is drawn between single runs: the noise between seeds is unknown. Next time train "
            "each candidate with at least 3 seeds."
        )
    if rows[0].images is None:
        yield "Nothing is claimed without the number of validation images: give it with --images."
    yield (
        "Intervals are wider than they need be, since nobody knows which images each network is right about. "
        "Next time store the predictions."
    )


def _interval(scores: Sequence[float], images: int | None) -> tuple[float, float]:
    """The 95% interval of a candidate's accuracy: Wilson's for one run, else Student's with both shares."""
    mean = float(np.mean(scores))
    if len(scores) == 1:
        return statistics.wilson(mean, images) if images else (math.nan, math.nan)
    variance = float(np.var(scores, ddof=1)) / len(scores) + (_binomial(mean, images) if images else 0.0)
    half = float(stats.t.ppf(1 - ALPHA / 2, len(scores) - 1)) * math.sqrt(variance)
    return max(0.0, mean - half), min(1.0, mean + half)


def _better(rows: Sequence[ScoreInterval], images: int, alpha: float) -> Iterator[tuple[str, str]]:
    """Pairs that differ at this two-sided level, rows best first. A row at a time: there may be thousands."""
    sizes = np.array([len(row.scores) for row in rows])
    means = np.array([row.mean for row in rows])
    seeds = np.array(
        [np.var(row.scores, ddof=1) / len(row.scores) if len(row.scores) > 1 else np.nan for row in rows]
    )
    variances = seeds + np.array([_binomial(mean, images) for mean in means])
    quantile = {int(size): float(stats.t.ppf(1 - alpha / 2, size - 1)) for size in set(sizes) if size > 1}
    factors = np.array([quantile.get(int(size), np.nan) for size in sizes])
    for place, row in enumerate(rows):
        if sizes[place] < 2:
            continue
        rest = slice(place + 1, None)
        # The quantile falls as seeds rise: that of the fewer seeds is the larger one.
        half = np.maximum(factors[place], factors[rest]) * np.sqrt(variances[place] + variances[rest])
        apart = (means[place] - means[rest] > half) & (half > 0)
        yield from (
            (row.candidate, rows[place + 1 + int(worse)].candidate) for worse in np.flatnonzero(apart)
        )


def _binomial(accuracy: float, images: int) -> float:
    """The variance that so many images give a share: at the ends of the scale that of Agresti and Coull."""
    moved = (accuracy * images + 2) / (images + 4)
    return moved * (1 - moved) / images


def _percent(row: ScoreInterval) -> str:
    mean = f"{100 * row.mean:.1f}%"
    return mean if math.isnan(row.low) else f"{mean}, {100 * row.low:.1f} to {100 * row.high:.1f}"


def _listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    if len(names) > _NAMED + 1:
        names = [*names[:_NAMED], f"{len(names) - _NAMED} others"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
