"""What `--dry-run` says of a budget of hours is so."""

from types import SimpleNamespace
from typing import Any

import pytest

from experiments.workflows.study.dry_run import _cost, _space
from search.protocol import Protocol
from search.workers.dry_run import DryRun, DryRunCandidate
from spaces.domains import Categorical


@pytest.mark.parametrize(
    ("hours", "said"), [(None, ""), (3.0, ""), (1.5, "; the budget of 1.5 hours may end explore before")]
)
def test_a_budget_is_told_where_the_study_may_not_keep_within_it(hours: float | None, said: str) -> None:
    setting = SimpleNamespace(protocol=Protocol(hours=hours, seeds=5), folds=None)
    found = DryRun({}, (), 0, (("explore", 20), ("confirm", 5)), 1, seconds=7200.0)
    line = _cost(setting, found, workers=1)[1]
    assert line == f"time: at most 2.0 hours with 1 worker, less what early stopping and pruning save{said}"


def test_rounds_have_a_fewest_an_expected_and_a_most_number_of_evaluations() -> None:
    setting = SimpleNamespace(protocol=Protocol(epochs=8), folds=None)
    found = DryRun({}, (), 0, (("explore", 60), ("confirm", 36)), 4, seconds=7200.0)
    evaluations, time = _cost(setting, found, workers=2)[:2]
    assert evaluations == (
        "evaluations: 60 in explore and 12 to 80 in confirm, some 29 as a rule, of at most 8 epochs"
    )
    assert time.startswith("time: some 2.0 hours with 2 workers")


def test_a_candidate_is_shown_once() -> None:
    one, other = (DryRunCandidate(label, {"batch_size": 32}, 1000, 2_000_000, 30.0) for label in ("A", "B"))
    domains = {"family": Categorical(("a", "b"), default="a")}
    found = DryRun(domains, (one, other, one, one), 0, (("explore", 60), ("confirm", 36)), 4, seconds=1.0)
    config: Any = SimpleNamespace(cells=())
    shown = [line for line in _space(config, found) if "parameters" in line and line.startswith("  ")]
    assert [line.split(":")[0].strip() for line in shown] == ["A", "B"]
