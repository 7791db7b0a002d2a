"""`candor search` with `seeds = "auto"`, as a person types it: real trainings, real decisions."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from search.tracking import names
from tests.support.studies.small_grid import small_grid

EXPERIMENT = small_grid("max_seeds = 4\nepochs = 1")

pytestmark = pytest.mark.trains


def _search(folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    experiment = folder / "rounds.toml"
    experiment.write_text(EXPERIMENT)
    command = [
        sys.executable,
        "-m",
        "experiments",
        "search",
        str(experiment),
        "--workspace",
        str(folder / "w"),
    ]
    return subprocess.run([*command, *options], capture_output=True, text=True, timeout=900, check=False)


def _runs(folder: Path, kind: str) -> list[Run]:
    client = MlflowClient(f"sqlite:///{folder / 'w' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("rounds")
    assert experiment is not None
    return [
        run for run in client.search_runs([experiment.experiment_id]) if run.data.tags.get(names.KIND) == kind
    ]


def test_rounds_end_with_a_reason_count_as_one_look_and_are_extended_by_hand(tmp_path: Path) -> None:
    done = _search(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "confirm, round 1: 6 evaluations on fresh seeds" in done.stdout
    assert "round 1: after 3 seeds: " in done.stdout
    (study,) = _runs(tmp_path, names.STUDY_KIND)
    assert study.data.tags[names.ROUNDS] in ("winner", "equal", "undecidable", "max_seeds")
    assert study.data.tags[names.LOOKS] == "1"
    evaluated = len(_runs(tmp_path, names.EVALUATION_KIND))
    assert 6 <= evaluated <= 8

    again = _search(tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "all of them are done already" in again.stdout
    (study,) = _runs(tmp_path, names.STUDY_KIND)
    assert study.data.tags[names.LOOKS] == "1"
    assert len(_runs(tmp_path, names.EVALUATION_KIND)) == evaluated

    more = _search(tmp_path, "--seeds", "5")
    assert more.returncode == 0, more.stdout + more.stderr
    (study,) = _runs(tmp_path, names.STUDY_KIND)
    assert study.data.tags[names.LOOKS] == "2"
    assert len(_runs(tmp_path, names.EVALUATION_KIND)) == 10


@pytest.mark.parametrize("seeds", ['"auto"', "1"])
def test_a_study_without_a_result_ends_with_one_and_says_the_first_cause(tmp_path: Path, seeds: str) -> None:
    done = _search(tmp_path, "--set", "protocol.max_seconds=0.01", "--set", f"protocol.seeds={seeds}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "No candidate could be confirmed, so there is no verdict (" in done.stdout
    assert "infeasible). The first cause: took more than 0.01 seconds" in done.stdout
    assert json.dumps(done.stderr).count("Traceback") == 0
