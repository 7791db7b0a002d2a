"""Who evaluates which running trial of one Optuna study.

Every trial has one owner at a time. Whoever claims or adopts it writes its name into it, under a lock, and
only the owner's result counts: a machine thought lost that comes back finds another name there.
"""

import logging
import math
import time

from search.study.optuna.storage import Storage, is_passing
from search.study.stages.evaluation import ActiveEvaluation


class Ownership:
    """The running trials of one study: this process's own, and those that nobody evaluates any more.

    Args:
        storage: Optuna's storage.
        study_id: Optuna's number of the study.
    """

    def __init__(self, storage: Storage, study_id: int) -> None:
        self._storage = storage
        self._study_id = study_id
        self._looked = -math.inf  # when there was last nobody's trial to adopt
        self.evaluations: dict[int, ActiveEvaluation] = {}  # of this process, by Optuna's trial id

    def orphan_is_due(self) -> bool:
        """Whether it is time to look for trials that were left behind.

        Nobody is thought lost who was there a moment ago: that is worth a look now and then.
        """
        return time.monotonic() - self._looked >= (self._storage.heartbeat_interval or 0)

    def adopt(self) -> int | None:
        """Take over a running trial that nobody evaluates; None where there is none.

        Its process is gone, or this process's claim of it failed half-way.
        """
        owners = self._storage.owners(self._study_id)
        orphans = owners.keys() - self.evaluations.keys()
        if orphans and self._storage.shared:  # else there is no other process than this
            mine = {trial for trial in orphans if owners[trial] == self._storage.owner}
            orphans &= mine | self._storage.stale(self._study_id)
        if not orphans:
            self._looked = time.monotonic()
            return None
        self._storage.own(min(orphans))
        return min(orphans)

    def deserted(self) -> bool:
        """Whether no other process evaluates anything: nothing runs that is neither ours nor stale."""
        owners = self._storage.owners(self._study_id)
        others = {trial for trial, owner in owners.items() if owner != self._storage.owner}
        return others <= self._storage.stale(self._study_id)

    def lost(self, evaluation: ActiveEvaluation, *, since: float = 0.0) -> bool:
        """Whether another machine has taken this evaluation over, or finished it.

        Args:
            evaluation: one that this process claimed.
            since: seconds; an answer that is so old is good enough.
        """
        now = time.monotonic()
        if not self._storage.shared or now - evaluation.looked < since:
            return False
        owner = self._storage.owners(self._study_id).get(evaluation.trial_id)
        evaluation.looked = now
        return owner != self._storage.owner

    def machines(self) -> int:
        """How many processes evaluate trials of the study now, at least one."""
        return max(len(set(self._storage.owners(self._study_id).values())), 1)

    def beat(self) -> None:
        """Say that every running trial is alive. Survives a storage that does not answer."""
        for trial_id in list(self.evaluations):
            try:
                self._storage.record_heartbeat(trial_id)
            except Exception as error:
                if not is_passing(error):  # whoever needs the storage meanwhile says that it is away
                    logging.getLogger(__name__).warning("heartbeat of trial %s failed: %s", trial_id, error)
