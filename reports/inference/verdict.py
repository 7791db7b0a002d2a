"""What a study may claim, by the rule that was written before it.

Relation of each candidate to the best (the highest score), which was itself picked from the same data:
    worse         the difference is significant at this look's alpha, by Holm over all pairs of the study
    tied          the whole interval of the difference lies within the margin
    underpowered  neither: this study cannot tell
and of the best to the others: `better` if all of them are worse, `tied` if each is worse or tied, else
`underpowered`. Holm over *all* pairs is what keeps these claims honest although the best was picked
afterwards: whichever it is, its differences are among the tested ones.

The word of a candidate, one a cell: `selected`, then `overfit` (relative_overfit surely above tau: its lower
limit is), then the relation. `selected` is no claim to be best: it is the smallest of those that the best
does not clearly beat. With fewer than three seeds no claim is made at all.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from reports.inference.comparison import (
    FEWEST_SEEDS,
    Comparison,
    Row,
    Rule,
)

Relation = Literal["better", "worse", "tied", "underpowered"]
Word = Literal["selected", "better", "tied", "worse", "overfit", "underpowered"]

#: Digits of every number in the frozen verdict: another machine's last bits must not change its hash.
DIGITS = 6


@dataclass(frozen=True)
class Judgement:
    """One candidate: the word its cell shows, and its relation to the best whatever the cell shows."""

    candidate: str
    label: str
    word: Word
    relation: Relation
    overfit: bool
    n_seeds: int
    parameters: int
    score: float
    delta_to_best: float
    delta_ci_low: float
    delta_ci_high: float
    p_holm: float
    relative_overfit: float
    relative_overfit_low: float


@dataclass(frozen=True)
class Verdict:
    """What one look at one study concludes; hashed before the test set is opened."""

    rule: Rule
    look: int
    alpha: float
    images: int
    best: str
    winner: str | None  # the best, if it is better than all others
    selected: str | None
    runner_up: str | None  # the highest score beside the selected one; None if nothing is selected
    judgements: tuple[Judgement, ...]  # best first

    def judgement(self, candidate: str) -> Judgement:
        """The judgement of one candidate."""
        return next(one for one in self.judgements if one.candidate == candidate)

    def words(self) -> dict[str, Word]:
        """Candidate to the word its cell shows."""
        return {one.candidate: one.word for one in self.judgements}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, numbers rounded, unknown ones null."""
        plain: dict[str, Any] = _rounded(asdict(self))
        return plain

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)

    def hash(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def decide(comparison: Comparison, rule: Rule) -> Verdict:
    """Apply the rule that the comparison was made under."""
    if rule != comparison.rule:
        raise ValueError(f"Expected the comparison's own rule, {comparison.rule}. Received: {rule}")
    relations = _relations(comparison)
    overfits = {row.candidate: _surely_overfit(row, rule) for row in comparison.rows}
    selected = _selected(comparison, overfits)
    runner_up = next((row.candidate for row in comparison.rows if row.candidate != selected), None)
    best = comparison.best.candidate
    return Verdict(
        rule=rule,
        look=comparison.look,
        alpha=comparison.alpha,
        images=comparison.images,
        best=best,
        winner=best if relations[best] == "better" else None,
        selected=selected,
        runner_up=runner_up if selected else None,
        judgements=tuple(
            _judgement(row, relations[row.candidate], overfits[row.candidate], row.candidate == selected)
            for row in comparison.rows
        ),
    )


def _relations(comparison: Comparison) -> dict[str, Relation]:
    best, *others = comparison.rows
    found = {row.candidate: _relation(comparison, row) for row in others}
    relations = set(found.values())
    of_best: Relation = "underpowered"
    if relations == {"worse"}:
        of_best = "better"
    elif relations in ({"tied"}, {"tied", "worse"}):
        of_best = "tied"
    return {best.candidate: of_best, **found}


def _relation(comparison: Comparison, row: Row) -> Relation:
    if not _comparable(comparison, row):
        return "underpowered"
    pair = comparison.pairs[comparison.best.candidate, row.candidate]
    if pair.p_holm < comparison.alpha and pair.difference.estimate > 0.0:
        return "worse"
    margin = comparison.rule.margin
    return "tied" if -margin < row.delta_ci_low and row.delta_ci_high < margin else "underpowered"


def _comparable(comparison: Comparison, row: Row) -> bool:
    """Whether a row has enough seeds in common with the best; the best has, if it has enough at all."""
    if row is comparison.best:
        return row.n_seeds >= FEWEST_SEEDS
    pair = comparison.pairs.get((comparison.best.candidate, row.candidate))
    return pair is not None and pair.difference.seeds >= FEWEST_SEEDS


def _surely_overfit(row: Row, rule: Rule) -> bool:
    # An unknown limit is NaN, and NaN is not above tau.
    return row.n_seeds >= FEWEST_SEEDS and row.relative_overfit_low > rule.tau


def _selected(comparison: Comparison, overfits: Mapping[str, bool]) -> str | None:
    """The fewest parameters among those within one standard error of the best that do not surely overfit."""
    near = [row for row in comparison.rows if row.within_one_se and _comparable(comparison, row)]
    sound = [row for row in near if not overfits[row.candidate]]
    return min(sound, key=lambda row: row.parameters).candidate if sound else None


def _judgement(row: Row, relation: Relation, overfit: bool, selected: bool) -> Judgement:
    word: Word = "selected" if selected else "overfit" if overfit else relation
    return Judgement(
        candidate=row.candidate,
        label=row.label,
        word=word,
        relation=relation,
        overfit=overfit,
        n_seeds=row.n_seeds,
        parameters=row.parameters,
        score=row.score,
        delta_to_best=row.delta_to_best,
        delta_ci_low=row.delta_ci_low,
        delta_ci_high=row.delta_ci_high,
        p_holm=row.p_holm,
        relative_overfit=row.relative_overfit,
        relative_overfit_low=row.relative_overfit_low,
    )


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DIGITS) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(one) for one in value]
    return value
