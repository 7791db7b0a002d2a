"""What the report says in plain English: what was asked, what was found, how sure one can be.

Every sentence follows from the comparison and the verdict alone; what the rule did not find is said too.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reports.inference.comparison import (
    FEWEST_SEEDS,
    Comparison,
    Pair,
    Row,
)
from reports.inference.published import published_sentences
from reports.inference.verdict import Judgement, Relation, Verdict
from reports.inference.wording import Amount, listed, many

#: How many candidates a sentence names before it counts the rest.
NAMED = 3
#: Differences smaller than these are not worth a sentence: a twentieth and a tenth of a point.
SLIGHT_OPTIMISM, SLIGHT_SHIFT = 0.0005, 0.001


def sentences(
    comparison: Comparison | None,
    verdict: Verdict | None,
    question: str,
    published: Sequence[Mapping[str, Any]] = (),
    labels: Mapping[str, str] | None = None,
    folds: int = 0,
) -> list[str]:
    """The sentences above a comparison table, in reading order.

    Without a comparison they say that nothing is confirmed yet.

    Args:
        comparison: The comparison of the confirmed candidates, if there is one.
        verdict: The verdict on them, if there is one.
        question: The experiment's question.
        published: Published rows as the experiment file has them.
        labels: What to call each candidate; None for the candidates' own labels.
        folds: The number of folds of train and validation together; 0 for a validation part.

    Returns:
        The sentences.
    """
    asked = [f"Asked: {question}"] if question else []
    if comparison is None or verdict is None:
        found = ["No candidate has been confirmed yet, so nothing can be said about them."]
    else:
        found = list(_Account(comparison, verdict, labels or {}, folds).told())
    return [*asked, *found, *published_sentences(published)]


class _Account:
    """One comparison and its verdict, told in order."""

    def __init__(
        self, comparison: Comparison, verdict: Verdict, labels: Mapping[str, str], folds: int
    ) -> None:
        self.comparison = comparison
        self.folds = folds
        self.verdict = verdict
        self.rule = comparison.rule
        self.best = comparison.best
        self.names = {row.candidate: labels.get(row.candidate, row.label) for row in comparison.rows}
        self.amount = Amount(self.rule.objective, comparison.confidence)

    def told(self) -> Iterator[str]:
        yield self.scope()
        if self.best.n_seeds < FEWEST_SEEDS:
            yield self.too_few()
            return
        yield from self.unequal_seeds()
        if len(self.comparison.rows) == 1:
            yield "Only one candidate was confirmed, so nothing was compared."
        else:
            yield from self.relations()
        yield from self.choice()
        yield from self.overfitting()
        yield from self.baseline()
        yield from self.reach()
        yield from self.luck()
        yield self.looks()

    def scope(self) -> str:
        counts = sorted({row.n_seeds for row in self.comparison.rows})
        seeds = many(counts[-1], "seed", "seeds")
        spread = seeds if len(counts) == 1 else f"{counts[0]} to {seeds}"
        candidates = many(len(self.comparison.rows), "candidate was", "candidates were")
        each = " each" if len(self.comparison.rows) > 1 else ""
        images = f"{self.comparison.images:,} different"
        if not self.folds:
            return f"{candidates} trained with {spread}{each} and judged on {images} validation images."
        return (
            f"{candidates} trained with {spread}{each} over {self.folds} folds and judged on {images} images "
            "of train and validation, each by a network that has not seen it."
        )

    def too_few(self) -> str:
        return (
            f"With {many(self.best.n_seeds, 'seed', 'seeds')} the seeds' share of the noise is unknown: "
            f"no winner is drawn and nothing is claimed. Confirm with at least {FEWEST_SEEDS} seeds."
        )

    def unequal_seeds(self) -> Iterator[str]:
        most = max(row.n_seeds for row in self.comparison.rows)
        fewer = [row for row in self.comparison.rows if row.n_seeds < most]
        if fewer:
            told = [f"{self.names[row.candidate]} ({row.n_seeds} of {most} seeds)" for row in fewer]
            yield f"Unfinished: {listed(told, NAMED)}; each pair is compared on the seeds that both have."

    def relations(self) -> Iterator[str]:
        others = [one for one in self.verdict.judgements if one.candidate != self.best.candidate]
        yield from self.beaten([one for one in others if one.relation == "worse"], len(others))
        unselected = [one for one in others if one.candidate != self.verdict.selected]
        yield from self.tied([one for one in unselected if one.relation == "tied"])
        yield from self.unclear([one for one in unselected if one.relation == "underpowered"])
        if not any(pair.p_holm < self.verdict.alpha for pair in self.comparison.pairs.values()):
            yield "No difference between any two candidates is proved to be more than noise."

    def beaten(self, worse: Sequence[Judgement], others: int) -> Iterator[str]:
        if not worse:
            return
        closest = worse[0].candidate
        shown = f"{self.names[closest]} ({self.amount.evidence(self.against_best(closest))})"
        best = self.names[self.best.candidate]
        if len(worse) == 1:
            yield f"{best} beats {shown}."
        elif len(worse) == others:
            yield f"{best} beats all {others} others; the closest is {shown}."
        else:
            yield f"{best} beats {len(worse)} of the {others} others; the closest of these is {shown}."

    def tied(self, tied: Sequence[Judgement]) -> Iterator[str]:
        if tied:
            best, others = self.names[self.best.candidate], [self.names[one.candidate] for one in tied]
            which = (
                f"{best} and {others[0]}"
                if len(others) == 1
                else f"{best} and each of {listed(others, NAMED)}"
            )
            within = self.amount.size(self.rule.margin)
            yield (
                f"{which} are as good as equal: the whole {self.amount.level} interval of the difference "
                f"lies within {within}."
            )

    def unclear(self, unclear: Sequence[Judgement]) -> Iterator[str]:
        comparable = [one.candidate for one in unclear if self.seeds_shared(one.candidate) >= FEWEST_SEEDS]
        told = [f"{self.names[one]} ({self.chance(one)})" for one in comparable]
        if told:
            yield f"{self.names[self.best.candidate]} cannot be told apart from {listed(told, NAMED)}."
        alone = [self.names[one.candidate] for one in unclear if one.candidate not in comparable]
        if alone:
            yield (
                f"Too few to compare: fewer than {FEWEST_SEEDS} seeds in common with "
                f"{self.names[self.best.candidate]} for {listed(alone, NAMED)}."
            )

    def choice(self) -> Iterator[str]:
        selected = self.verdict.selected
        if selected is None:
            near = [row for row in self.comparison.rows if row.within_one_se]
            reason = self.why_passed_over(near, f" (relative overfit above {self.rule.tau:g})")
            yield f"None is selected: every candidate within one standard error of the best {reason}."
        elif selected == self.best.candidate:
            yield f"{self.names[selected]} is selected: {self.why_not_smaller()}."
        else:
            relation = self.verdict.judgement(selected).relation
            size = f"{self.names[selected]} has {self.size(selected)}"
            yield f"{self.beside(selected, relation)}; {size} and is selected."

    def why_not_smaller(self) -> str:
        if len(self.comparison.rows) == 1:
            return "there is no other"
        rows = [row for row in self.comparison.rows if row.parameters < self.best.parameters]
        near = [row for row in rows if row.within_one_se]
        if near:
            return f"every smaller candidate within one standard error of it {self.why_passed_over(near)}"
        return "no smaller candidate comes within one standard error of it"

    def why_passed_over(self, near: Sequence[Row], meaning: str = "") -> str:
        """Why none of these, all near enough to the best, is selected; meaning: of "surely overfits"."""
        overfit = [self.verdict.judgement(row.candidate).overfit for row in near]
        reasons = [f"surely overfits{meaning}"] if any(overfit) else []
        if not all(overfit):
            reasons.append(f"shares fewer than {FEWEST_SEEDS} seeds with it")
        return " or ".join(reasons)

    def beside(self, selected: str, relation: Relation) -> str:
        pair = f"{self.names[self.best.candidate]} and {self.names[selected]}"
        if relation == "tied":
            return f"{pair} are as good as equal ({self.amount.evidence(self.against_best(selected))})"
        return f"{pair} cannot be told apart ({self.chance(selected)})"

    def size(self, selected: str) -> str:
        ratio = self.comparison.row(selected).parameters / max(self.best.parameters, 1)
        if round(100 * abs(1.0 - ratio)) == 0:
            return "as many parameters"
        return f"{100 * abs(1.0 - ratio):.0f}% {'fewer' if ratio < 1.0 else 'more'} parameters"

    def overfitting(self) -> Iterator[str]:
        over = [self.comparison.row(one.candidate) for one in self.verdict.judgements if one.overfit]
        told = [
            f"{name} ({row.relative_overfit:.2f}, at least {row.relative_overfit_low:.2f})"
            for name, row in ((self.names[row.candidate], row) for row in over)
        ]
        if told:
            yield f"Relative overfit is surely above {self.rule.tau:g} for {listed(told, NAMED)}."

    def baseline(self) -> Iterator[str]:
        chosen = self.verdict.selected or self.best.candidate
        for row in self.comparison.rows:
            if row.baseline and row.candidate != chosen and self.paired(chosen, row.candidate):
                pair = self.comparison.pair(chosen, row.candidate)
                if pair.difference.seeds >= FEWEST_SEEDS:
                    evidence = self.amount.evidence(pair)
                    yield (
                        f"{self.names[chosen]} {self.beside_baseline(pair)} the baseline "
                        f"{self.names[row.candidate]} ({evidence})."
                    )

    def beside_baseline(self, pair: Pair) -> str:
        if pair.p_holm < self.verdict.alpha:
            return "beats" if pair.difference.estimate > 0.0 else "falls behind"
        if max(-pair.difference.low, pair.difference.high) < self.rule.margin:
            return "is as good as"
        return "cannot be told apart from"

    def reach(self) -> Iterator[str]:
        smallest, wanted = self.comparison.smallest_detectable, self.comparison.seeds_for_margin
        if math.isnan(smallest):
            return
        found = self.amount.size(smallest)
        yield f"The smallest difference that this study would find four times in five is {found}."
        if smallest <= self.rule.margin or all(
            one.relation != "underpowered" for one in self.verdict.judgements
        ):
            return
        margin = self.amount.size(self.rule.margin)
        more = (wanted or 0) - min(row.n_seeds for row in self.comparison.rows if row.n_seeds >= FEWEST_SEEDS)
        if wanted is None:
            images = "images" if self.folds else "validation images"
            yield f"No number of seeds would tell a difference of {margin}: it takes more {images}."
        elif more > 0:
            yield f"{many(more, 'more seed', 'more seeds')} would be needed to tell a difference of {margin}."

    def luck(self) -> Iterator[str]:
        name = self.names[self.best.candidate]
        optimism = self.comparison.selection.optimism if self.comparison.selection else 0.0
        if optimism >= SLIGHT_OPTIMISM:
            yield (
                f"About {self.amount.size(optimism)} of {name}'s score is the luck of being the highest of "
                f"{len(self.comparison.rows)}."
            )
        if self.best.monitor_to_validation >= SLIGHT_SHIFT:
            yield (
                f"On monitor, where the leaders were picked, {name} had scored "
                f"{self.amount.size(self.best.monitor_to_validation)} better: a score that chose flatters."
            )
        if self.best.leak_delta >= SLIGHT_SHIFT and not self.folds:  # twins are in one fold
            yield (
                f"Without the validation images that have a twin in training, {name} loses "
                f"{100 * self.best.leak_delta:.1f} points of accuracy."
            )

    def looks(self) -> str:
        return (
            f"This is look {self.comparison.look} at the validation results: it may claim something false in "
            f"{100 * self.comparison.alpha:g}% of studies, the next look in half of that."
        )

    def against_best(self, candidate: str) -> Pair:
        return self.comparison.pair(self.best.candidate, candidate)

    def paired(self, a: str, b: str) -> bool:
        return (a, b) in self.comparison.pairs or (b, a) in self.comparison.pairs

    def seeds_shared(self, candidate: str) -> int:
        if not self.paired(self.best.candidate, candidate):
            return 0
        return self.against_best(candidate).difference.seeds

    def chance(self, candidate: str) -> str:
        """P(the best beats it); where all seeds agree and prove nothing, also how few they are."""
        pair = self.against_best(candidate)
        shown = f"P = {pair.probability.estimate:.2f}"
        agreed = pair.probability.estimate in (0.0, 1.0)
        return f"{shown} in only {many(pair.difference.seeds, 'seed', 'seeds')}" if agreed else shown
