"""What the report says in plain English: the answer, the evidence for it, its limits.

Every sentence follows from the comparison and the verdict alone, and can be understood alone.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reports import statistics
from reports.inference.comparison import Comparison, Row
from reports.inference.published import published_sentences
from reports.inference.standings import FEWEST_SEEDS
from reports.inference.verdict import Verdict
from reports.inference.wording import Amount, Names, listed, many

#: How many candidates a sentence names before it counts the rest.
NAMED = 3
#: Differences smaller than these are not worth a sentence: a twentieth and a tenth of a point.
SLIGHT_OPTIMISM, SLIGHT_SHIFT = 0.0005, 0.001
#: With so many seeds the seeds' noise is known well enough to say how many more it takes.
WELL_KNOWN = 8


def sentences(
    comparison: Comparison | None,
    verdict: Verdict | None,
    question: str,
    published: Sequence[Mapping[str, Any]] = (),
    labels: Mapping[str, str] | None = None,
    folds: int = 0,
    state: str = "",
) -> list[str]:
    """The sentences above a comparison table, in reading order.

    Args:
        comparison: None while nothing may be concluded.
        verdict: the comparison's; None with it.
        question: of the experiment.
        published: rows of the experiment file that were measured on the study's own data.
        labels: candidate to what it is called; without them candidates go by their own labels.
        folds: how many folds of train and validation together judge, in place of validation images.
        state: why there is no comparison yet, as a sentence.
    """
    asked = [f"Asked: {question}"] if question else []
    if comparison is None or verdict is None:
        found = [state or "No candidate has been confirmed yet, so nothing can be said about them."]
    else:
        found = _Account(comparison, verdict, labels or {}, folds).sentences()
    return [*asked, *found, *published_sentences(published)]


class _Account:
    """One comparison and its verdict in words."""

    def __init__(
        self, comparison: Comparison, verdict: Verdict, labels: Mapping[str, str], folds: int
    ) -> None:
        self.comparison, self.verdict, self.folds = comparison, verdict, folds
        self.rule, self.best = comparison.rule, comparison.best
        self.others = comparison.rows[1:]
        self.name = Names({row.candidate: labels.get(row.candidate, row.label) for row in comparison.rows})
        self.amount = Amount(self.rule.objective)
        self.explained = False  # whether the level of the intervals was said

    def sentences(self) -> list[str]:
        """All of them, the letters explained first."""
        found = list(self.parts())
        return [*self.name.defined(), *found]

    def parts(self) -> Iterator[str]:
        yield from self.answer()
        yield from self.failures()
        if self.best.seeds_counted >= FEWEST_SEEDS:
            yield from self.choice()
            yield from self.overfitting()
            yield from self.baseline()
            yield from self.reach()
            yield from self.luck()
        yield self.basis()

    # The answer.

    def answer(self) -> Iterator[str]:
        if self.best.seeds_counted < FEWEST_SEEDS:
            seeds = many(self.best.seeds_counted, "seed", "seeds")
            yield (
                f"Nothing is claimed with {seeds}: the noise between seeds is unknown. Confirm with at least "
                f"{FEWEST_SEEDS} seeds."
            )
        elif not self.others:
            yield "Only one candidate was confirmed, so nothing was compared."
        else:
            yield from self.compared()

    def compared(self) -> Iterator[str]:
        worse = [row for row in self.others if row.relation == "worse"]
        tied = [row for row in self.others if row.relation == "tied"]
        unclear = [row for row in self.others if row.relation == "underpowered"]
        best, seeds = self.name(self.best.candidate), f"after {self.seeds()}"
        if not unclear:
            head = f"Decided {seeds}: "
            if not tied:
                yield f"{head}{best} beats {self.beaten(worse)}."
                return
            yield f"{head}{self.equal(tied)}."
        else:
            yield f"Not decided {seeds}: {self.open(unclear)}."
            if tied:
                yield f"{self.equal(tied)}."
        if worse:
            yield f"{best} beats {self.beaten(worse)}."

    def seeds(self) -> str:
        counts = sorted({row.n_seeds for row in self.comparison.rows})
        seeds = many(counts[-1], "seed", "seeds")
        return seeds if len(counts) == 1 else f"{counts[0]} to {seeds}"

    def beaten(self, worse: Sequence[Row]) -> str:
        if len(worse) <= NAMED:
            return listed([f"{self.name(row.candidate)} by {self.behind(row)}" for row in worse])
        closest = max(worse, key=lambda row: row.delta_ci_high)
        everyone = "all" if len(worse) == len(self.others) else f"{len(worse)} of the"
        count = f"{everyone} {len(self.others)} others"
        return f"{count}, the closest, {self.name(closest.candidate)}, by {self.behind(closest)}"

    def equal(self, tied: Sequence[Row]) -> str:
        names = listed([self.name(row.candidate) for row in tied], NAMED)
        between = f"; {self.name(tied[0].candidate)} is {self.below(tied[0])}" if len(tied) == 1 else ""
        each = "each of " if len(tied) > 1 else ""
        margin = self.amount.size(self.rule.margin)
        return f"{self.name(self.best.candidate)} and {each}{names} are equal within {margin}{between}"

    def open(self, unclear: Sequence[Row]) -> str:
        known = [row for row in unclear if not math.isnan(row.delta_ci_low)]
        told = []
        if known:
            first = known[0]
            pair = self.comparison.pair(self.best.candidate, first.candidate)
            told.append(
                f"{self.name(self.best.candidate)} leads {self.name(first.candidate)} by "
                f"{self.behind(first)} and won with {pair.won:g} of {pair.paired} seeds"
            )
        if len(known) > 1:
            names = [self.name(row.candidate) for row in known[1:]]
            told.append(f"{listed(names, NAMED)} may be as good too")
        few = [self.name(row.candidate) for row in unclear if math.isnan(row.delta_ci_low)]
        if few:
            told.append(f"of {listed(few, NAMED)} fewer than {FEWEST_SEEDS} seeds can be compared")
        return "; ".join(told)

    def behind(self, row: Row) -> str:
        """How far a candidate is behind the best, as the best's lead."""
        ends = self.amount.between(-row.delta_ci_high, -row.delta_ci_low)
        return f"{self.amount.size(row.delta_to_best)} ({self.interval()}{ends})"

    def below(self, row: Row) -> str:
        """How far a candidate is below or above another."""
        ends = self.amount.between(row.delta_ci_low, row.delta_ci_high)
        side = "below" if row.delta_to_best <= 0.0 else "above"
        return f"{self.amount.size(row.delta_to_best)} {side} ({self.interval()}{ends})"

    def interval(self) -> str:
        if self.explained:
            return ""
        self.explained = True
        return f"{100 * self.comparison.confidence:g}% interval "

    # Seeds that do not count.

    def failures(self) -> Iterator[str]:
        rows = self.comparison.rows
        nothing = [row for row in rows if row.n_seeds and row.seeds_failed == row.n_seeds]
        some = [row for row in rows if 0 < row.seeds_failed < row.n_seeds]
        if nothing:
            names = listed([self.name(row.candidate) for row in nothing], NAMED)
            share = f"{100 * self.comparison.majority:.0f}%"
            yield f"{names} learned nothing: no seed did better than the commonest class, {share}."
        if some:
            told = [
                f"{self.name(row.candidate)} with {row.seeds_failed} of {row.n_seeds} seeds "
                f"({100 * row.val_accuracy_all:.1f}% over all seeds)"
                for row in some
            ]
            yield f"Failed to learn: {listed(told, NAMED)}; scores are of the seeds that learned."
            first = max(some, key=lambda row: row.seeds_failed / row.n_seeds)
            low, high = statistics.wilson(first.seeds_failed / first.n_seeds, first.n_seeds)
            yield (
                f"Training {self.name(first.candidate)} once fails in {100 * low:.0f} to {100 * high:.0f}% "
                "of cases (95% interval)."
            )
        lost = [row for row in rows if row.seeds_lost]
        if lost:
            told = [
                f"{self.name(row.candidate)} ({row.seeds_lost} of {row.n_seeds + row.seeds_lost} seeds)"
                for row in lost
            ]
            yield f"Diverged or broke off, and missing in the scores: {listed(told, NAMED)}."

    # What to take.

    def choice(self) -> Iterator[str]:
        selected = self.verdict.selected
        if selected is None:
            yield (
                "None is selected: every candidate near the best surely overfits "
                f"(relative overfit above {self.rule.tau:g})."
            )
            return
        name = self.name(selected)
        if not self.others:
            yield f"{name} is selected: there is no other."
        elif selected == self.best.candidate:
            yield f"{name} is selected; {self.why_no_other()}."
        else:
            row = self.comparison.row(selected)
            yield f"{name} is selected: it has {self.size(row)} and is {self.below(row)}."

    def why_no_other(self) -> str:
        near = [row for row in self.others if row.within_one_se and row.parameters < self.best.parameters]
        if not near:
            return "no smaller candidate is as good"
        over = [row for row in near if self.verdict.judgement(row.candidate).overfit]
        reasons = ["surely overfits"] if over else []
        reasons += ["failed to learn more often"] if len(over) < len(near) else []
        return f"every smaller candidate as good {' or '.join(reasons)}"

    def size(self, row: Row) -> str:
        ratio = row.parameters / max(self.best.parameters, 1)
        if round(100 * abs(1.0 - ratio)) == 0:
            return "as many parameters as the best"
        return f"{100 * abs(1.0 - ratio):.0f}% {'fewer' if ratio < 1.0 else 'more'} parameters than the best"

    def overfitting(self) -> Iterator[str]:
        over = [self.comparison.row(one.candidate) for one in self.verdict.judgements if one.overfit]
        told = [
            f"{self.name(row.candidate)} ({row.relative_overfit:.2f}, at least "
            f"{row.relative_overfit_low:.2f})"
            for row in over
        ]
        if told:
            yield f"Relative overfit is surely above {self.rule.tau:g} for {listed(told, NAMED)}."

    def baseline(self) -> Iterator[str]:
        """The selected candidate beside the baseline, where the answer has not said it."""
        chosen = self.verdict.selected or self.best.candidate
        for row in self.comparison.rows:
            if not row.baseline or row.candidate == chosen:
                continue
            pair = self.comparison.pair(chosen, row.candidate)
            if math.isnan(pair.low):
                continue
            ends = f"{self.amount.size(pair.difference.estimate)} ({self.interval()}"
            if pair.low > 0.0:
                found = f"beats it by {ends}{self.amount.between(pair.low, pair.high)})"
            elif pair.high < 0.0:
                found = f"is below it by {ends}{self.amount.between(-pair.high, -pair.low)})"
            elif max(-pair.low, pair.high) < self.rule.margin:
                found = f"is equal to it within {self.amount.size(self.rule.margin)}"
            else:
                side = "above" if pair.difference.estimate > 0.0 else "below"
                apart = self.amount.between(pair.low, pair.high)
                found = f"is {self.amount.size(pair.difference.estimate)} {side} it "
                found += f"({self.interval()}{apart}), which is not decided"
            yield f"The baseline is {self.name(row.candidate)}: {self.name(chosen)} {found}."

    # The limits.

    def reach(self) -> Iterator[str]:
        unclear = [row for row in self.others if row.relation == "underpowered"]
        smallest, wanted = self.comparison.smallest_detectable, self.comparison.seeds_for_margin
        if not unclear or math.isnan(smallest):
            return
        first = next(row for row in unclear if not math.isnan(row.p_above))
        margin, best = self.amount.size(self.rule.margin), self.name(self.best.candidate)
        yield (
            f"For a choice today: {best} is better than {self.name(first.candidate)} by more than {margin} "
            f"with probability {first.p_below:.2f}, equal within it with {first.p_equal:.2f}, worse with "
            f"{first.p_above:.2f}."
        )
        images = "images" if self.folds else "validation images"
        found = f"A true difference of {self.amount.size(smallest)} would be found four times in five"
        decision = self.comparison.decision
        if decision is not None and decision.finished:
            ended = {
                "undecidable": f"further seeds are unlikely to decide the rest: it takes more {images}",
                "max_seeds": "the rounds ended with their last seed",
                "hours": "the rounds ended with the study's hours",
            }
            yield f"{found}; {ended.get(decision.reason, 'the rounds are over')}."
        elif decision is not None:
            yield f"{found}; {len(decision.active)} candidates get further seeds."
        elif wanted is None:
            yield f"{found}. No number of seeds would find {margin}: that takes more {images}."
        elif smallest <= self.rule.margin:
            yield f"{found}."
        else:
            yield f"{found}; {self.more(wanted, margin)}."

    def more(self, wanted: int, margin: str) -> str:
        now = min(row.seeds_counted for row in self.comparison.rows if row.seeds_counted >= FEWEST_SEEDS)
        if now < WELL_KNOWN:
            return 'more seeds would find less: seeds = "auto" adds them while they help'
        return f"about {max(wanted - now, 1)} more seeds would find {margin}"

    def luck(self) -> Iterator[str]:
        name = self.name(self.best.candidate)
        optimism = self.comparison.selection.optimism if self.comparison.selection else 0.0
        shift, told = self.best.monitor_to_validation, []
        if shift >= SLIGHT_SHIFT:
            told.append(f"monitor had shown {name} {self.amount.size(shift)} too high")
        if optimism >= SLIGHT_OPTIMISM:
            told.append(
                f"about {self.amount.size(optimism)} of {name}'s score is the luck of being the highest of "
                f"{len(self.comparison.rows)}"
            )
        if self.best.leak_delta >= SLIGHT_SHIFT and not self.folds:  # twins are in one fold
            points = f"{100 * self.best.leak_delta:.1f} points of accuracy"
            told.append(f"without the validation images that have a twin in training {name} loses {points}")
        if told:
            sentence = listed(told)
            yield f"{sentence[0].upper()}{sentence[1:]}."
        pair = self.comparison.overtuning
        if pair is not None and pair.difference.estimate >= SLIGHT_SHIFT and not math.isnan(pair.low):
            ends = self.amount.between(pair.low, pair.high)
            yield (
                f"Explore ranked {self.name(pair.b)} first; on validation it is "
                f"{self.amount.size(pair.difference.estimate)} ({self.interval()}{ends}) below "
                f"{self.name(pair.a)}, which was tried before it."
            )

    def basis(self) -> str:
        counts = f"{self.comparison.images:,} different"
        if self.folds:
            images = (
                f"{counts} images of train and validation over {self.folds} folds, each by a network that "
                "has not seen it"
            )
        else:
            images = f"{counts} validation images"
        error = f"{100 * self.comparison.alpha:g}%"
        rounds = " in all rounds together" if self.comparison.decision else ""
        return (
            f"Judged on {images}; at most {error} of such studies claim something false{rounds} "
            f"(look {self.comparison.look})."
        )
