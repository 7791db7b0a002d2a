"""Rounds of the confirm stage: deliver a round to MLflow, ask the report for the decision, keep it.

The decision is the one that the report draws from MLflow alone, so that both can never differ. Of several
machines the first that gets the lock decides; the others find its decision.
"""

import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace

from experiments.workflows.study.context import RunContext
from search.study.optuna.reconcile import Looks
from search.study.optuna.retry import BrokenStudy
from search.study.planning.rounds import RoundRecord
from search.study.study import Study
from search.tracking import names
from search.tracking.delivery import Delivery
from search.workers.recorder import Recorder

#: So long a decision may take, while other machines wait for it, in seconds.
_DECIDING = 900
#: Between two looks whether MLflow has what is on its way to it.
_POLL_SECONDS = 2.0
_DRAIN_SECONDS = 60


@dataclass(frozen=True)
class RoundDecider:
    """Decides after each round of one study.

    Attributes:
        study: whose confirm stage is in rounds.
        context: where the study runs.
        recorder: writes what belongs to the study's own run.
        delivery: sends this machine's records.
        looks: how often the validation results were looked at.
        missing: how many evaluations MLflow lacks that are over, in words; empty where it has all.
        wait: waits so many seconds, and says whether a stop was asked for meanwhile.
        say: tells the user.
    """

    study: Study
    context: RunContext
    recorder: Recorder
    delivery: Delivery
    _: KW_ONLY
    looks: Looks
    missing: Callable[[], str]
    wait: Callable[[float], bool]
    say: Callable[[str], None]

    def decide(self, known: int) -> bool:
        """See to it that there is one more decision than this process knew.

        Args:
            known: how many decisions there were before the round.

        Returns:
            Whether to stop, since a stop was asked for while MLflow could not be reached.
        """
        said = False
        while True:
            waiting = self.delivery.drain(_DRAIN_SECONDS)
            reason = f"{waiting} records wait for MLflow ({self.delivery.trouble})" if waiting else ""
            if not reason:
                with self.study.exclusive("rounds", _DECIDING):
                    if self._settled(known):
                        return False
                    reason = self.missing()
                    if not reason:
                        self._keep(self._decision())
                        return False
            if not said:
                self.say(f"the round is complete; the decision waits: {reason}")
                said = True
            if self.wait(_POLL_SECONDS):
                return True

    def _settled(self, known: int) -> bool:
        """Whether another machine has decided this round, or something is evaluated again."""
        confirm = self.study.confirm
        decisions = confirm.rounds().decisions
        if len(decisions) > known:
            self.say(f"round {decisions[-1].round}: {decisions[-1].line}")
            return True
        return not confirm.round_is_over()

    def _decision(self) -> RoundRecord:
        """What the report decides, or that the next round would not fit into the hours."""
        import reports
        from experiments.workflows.study.conclude import confirmed

        own = (self.study.config.experiment, self.context.tracking, self.recorder.study_key)
        records = reports.load_study(*own)
        if not confirmed(records).any():  # nothing to look at: no look is spent
            return self._nothing()
        self._spend_look(records)
        found = reports.decision_of(*own)
        if found is None:
            return self._nothing()
        record = RoundRecord(
            round=found.round,
            seeds=found.seeds,
            finished=found.finished,
            reason=found.reason,
            active=tuple(found.active),
            next_seeds=found.next_seeds,
            line=found.line,
        )
        return record if record.finished else self._within_hours(record)

    def _nothing(self) -> RoundRecord:
        """No candidate was even built."""
        confirm, seeds = self.study.confirm, self.study.config.protocol.first_seeds
        line = "no evaluation was completed, so nothing can be compared"
        number = len(confirm.rounds().decisions) + 1
        return RoundRecord(number, seeds, True, "undecidable", (), seeds, line)

    def _within_hours(self, record: RoundRecord) -> RoundRecord:
        """The record, ended where the next round would take the study beyond its budget."""
        hours = self.study.config.protocol.hours
        if hours is None or self.study.round_fits(record):
            return record
        line = f"{record.line}; the next round would not fit into the budget of {hours:g} hours"
        return replace(record, finished=True, reason="hours", line=line)

    def _keep(self, record: RoundRecord) -> None:
        confirm = self.study.confirm
        before = confirm.total()
        confirm.add_round(record)
        if not record.finished and confirm.total() == before:
            raise BrokenStudy(
                f"round {record.round} is the last that MLflow has complete, and more was evaluated: runs of "
                "this study were removed from MLflow. Restore them there, and search again"
            )
        self.recorder.study_files({}, {names.ROUNDS: record.reason})
        self.say(f"round {record.round}: {record.line}")

    def _spend_look(self, records: object) -> None:
        """Count the stage as one look at the validation results, before its first decision."""
        from experiments.workflows.study.conclude import look_at

        number, seen = look_at(records, self.looks)
        self.looks.keep(number, seen)
        self.recorder.study_files({}, {names.LOOKS: str(number), names.SEEN: seen})
        self.delivery.drain(_DRAIN_SECONDS)


def wait_until(stopped: Callable[[], bool], seconds: float) -> bool:
    """Wait; whether a stop was asked for meanwhile."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not stopped():
        time.sleep(0.1)
    return stopped()
