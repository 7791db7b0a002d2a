"""The rounds of a confirm stage with `seeds = "auto"`: what was decided after each, and what follows from it.

The decisions lie in a user attribute of the confirm study. What is to be trained follows from them alone, so
that a killed, resumed or shared study comes to the same plan. Whoever decides is not known here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

#: The user attribute of a confirm study that holds its rounds.
ROUNDS = "rounds"


@dataclass(frozen=True)
class RoundRecord:
    """What was decided after a round.

    Attributes:
        round: its number, from 1.
        seeds: of each candidate that was still in, at its end.
        finished: whether the stage is over.
        reason: "open" while it goes on; else winner, equal, undecidable, max_seeds or hours.
        active: fingerprints of the candidates that get further seeds, or that remained.
        next_seeds: of each active candidate at the end of the next round, had there been one.
        line: the state of the decision in plain English.
    """

    round: int
    seeds: int
    finished: bool
    reason: str
    active: tuple[str, ...]
    next_seeds: int
    line: str

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "RoundRecord":
        """The record that `asdict` and JSON made a dict of."""
        return cls(**{**stored, "active": tuple(stored["active"])})


@dataclass(frozen=True)
class Rounds:
    """The rounds of one sequence: it begins anew with other candidates or another `max_seeds`.

    Attributes:
        slots: places in explore's plan, or numbers of cells, of all candidates.
        max_seeds: the protocol's.
        decisions: one for each round that is over, in their order.
    """

    slots: tuple[int, ...]
    max_seeds: int
    decisions: tuple[RoundRecord, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether the last decision ended the stage."""
        return bool(self.decisions) and self.decisions[-1].finished

    def with_decision(self, decision: RoundRecord) -> "Rounds":
        """The same with one more."""
        return Rounds(self.slots, self.max_seeds, (*self.decisions, decision))

    def reopened(self) -> "Rounds":
        """The same without an end: the last decision is open again."""
        *earlier, last = self.decisions
        return replace(self, decisions=(*earlier, replace(last, finished=False, reason="open")))

    def seeds_of(self, candidate: str | None, first: int) -> int:
        """How many seeds a candidate is to have, as decided so far.

        Args:
            candidate: its fingerprint; None while it is unknown, since nothing of it was built yet.
            first: seeds of the first round.
        """
        later = [one.next_seeds for one in self.decisions if not one.finished and candidate in one.active]
        return max([first, *later])

    def to_dict(self) -> dict[str, Any]:
        """What the study keeps."""
        return {
            "slots": list(self.slots),
            "max_seeds": self.max_seeds,
            "decisions": [asdict(one) for one in self.decisions],
        }

    @classmethod
    def stored(cls, attribute: Mapping[str, Any] | None, slots: Sequence[int], max_seeds: int) -> "Rounds":
        """The rounds that a study keeps, or new ones where it has none of these candidates.

        Args:
            attribute: the value of ROUNDS, None where there is none.
            slots: of all candidates as they are now.
            max_seeds: as the protocol has it now.
        """
        new = cls(tuple(sorted(slots)), max_seeds)
        if attribute is None:
            return new
        kept = cls(
            tuple(attribute["slots"]),
            attribute["max_seeds"],
            tuple(RoundRecord.from_dict(one) for one in attribute["decisions"]),
        )
        return kept if (kept.slots, kept.max_seeds) == (new.slots, new.max_seeds) else new
