"""A study is read as frames with fixed columns and dtypes; what cannot be found is said in a sentence."""

import sys
from subprocess import run

import numpy as np
import pytest

import reports
from reports.analysis import Analysis
from reports.progress import progress
from reports.records import frames
from reports.records.store import Run
from reports.records.study import load_study
from search.tracking import names
from spaces.errors import UserError


def test_the_frame_of_evaluations_has_documented_columns_and_dtypes(joint: Analysis) -> None:
    frame = joint.study.evaluations
    assert frame.dtypes.astype(str).to_dict() == frames.DTYPES
    assert len(frame) == 16 + 4 * 4
    assert frame.stage.tolist() == sorted(frame.stage, key=lambda stage: stage != "explore")


def test_columns_and_dtypes_are_the_same_for_a_study_without_evaluations(empty: Analysis) -> None:
    assert empty.study.evaluations.dtypes.astype(str).to_dict() == frames.DTYPES
    assert empty.study.unsealings.empty


def test_history_has_one_row_per_run_and_epoch(joint: Analysis) -> None:
    history = joint.study.history
    assert list(history.columns) == ["run_id", "epoch", *names.EPOCH_METRICS]
    assert not history.duplicated(["run_id", "epoch"]).any()
    assert history.epoch.min() == 1
    confirmed = joint.study.evaluations.query("stage == 'confirm'")
    last = history.groupby("run_id").epoch.max()[confirmed.run_id]
    assert last.to_list() == confirmed.epochs.astype(int).to_list()


def test_settings_that_are_numbers_are_numeric(joint: Analysis) -> None:
    settings = joint.study.settings
    assert settings["recipe.learning_rate"].dtype == np.float64
    assert settings["arch.kernels"].dtype == "str"


def test_load_study_is_the_notebooks_door(tracking_uri: str) -> None:
    study = reports.load_study("joint", tracking_uri)
    assert study.predictions(study.evaluations.run_id.iloc[-1]).probabilities.shape == (400, 7)


def test_the_newest_study_is_shown_and_the_others_are_known(tracking_uri: str) -> None:
    study = load_study("again", tracking_uri)
    assert study.study_id == "ee55"
    assert [other.tags[names.STUDY] for other in study.others] == ["dd44"]
    assert load_study("again", tracking_uri, "dd44").study_id == "dd44"


def test_an_unknown_experiment_names_the_nearest(tracking_uri: str) -> None:
    with pytest.raises(UserError, match=r"holds no experiment jiont; .*Did you mean joint"):
        load_study("jiont", tracking_uri)


def test_an_unknown_study_names_those_that_exist(tracking_uri: str) -> None:
    with pytest.raises(UserError, match=r"no study zz99 .*studies found: ee55, dd44"):
        load_study("again", tracking_uri, "zz99")


def test_a_key_that_was_delivered_twice_counts_once() -> None:
    def delivered(run_id: str, state: str) -> Run:
        tags = {names.KEY: "s/explore/0/0", names.STATE: state, names.STAGE: "explore", names.TRIAL: "0"}
        return Run(run_id, "", "FINISHED", 5, 6, "", tags, {}, {})

    frame = frames.evaluations([delivered("a", "complete"), delivered("b", "running")])
    assert frame.run_id.tolist() == ["a"]


def test_a_run_without_a_state_takes_it_from_mlflow() -> None:
    kinds = [
        Run(str(n), "", status, n, None, "", {}, {}, {}) for n, status in enumerate(("RUNNING", "FAILED"))
    ]
    assert frames.evaluations(kinds).state.tolist() == ["running", "failed"]


@pytest.mark.parametrize(
    ("experiment", "text"),
    [
        ("young", "running, 3 of 4 explored"),
        ("joint", "finished, 14 of 16 explored, 16 of 16 confirmed"),
        ("grid", "finished, 18 of 18 confirmed"),
        ("empty", "running, nothing evaluated yet"),
    ],
)
def test_progress_is_said_in_words(tracking_uri: str, experiment: str, text: str) -> None:
    assert progress(load_study(experiment, tracking_uri)).text == text


def test_importing_reports_loads_nothing_heavy() -> None:
    code = "import sys, reports; print(sorted({'mlflow', 'keras', 'pandas', 'plotly'} & set(sys.modules)))"
    found = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
