"""What `--dry-run` says of a budget of hours is so."""

from types import SimpleNamespace

import pytest

from experiments.workflows.dry_run import _cost
from search.protocol import Protocol
from search.workers.dry_run import DryRun


@pytest.mark.parametrize(
    ("hours", "said"), [(None, ""), (3.0, ""), (1.5, "; the budget of 1.5 hours may end explore before")]
)
def test_a_budget_is_told_where_the_study_may_not_keep_within_it(hours: float | None, said: str) -> None:
    setting = SimpleNamespace(protocol=Protocol(hours=hours), folds=None)
    found = DryRun({}, (), 0, (("explore", 20), ("confirm", 5)), seconds=7200.0)
    line = _cost(setting, found, workers=1)[1]
    assert line == f"time: at most 2.0 hours with 1 worker, less what early stopping and pruning save{said}"
