"""Reports of records that people renamed in, deleted from or restored into say what they have, or refuse."""

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

import reports
from reports.records.study import load_study, studies
from search.tracking import names
from search.tracking.client import open_client
from search.workspace import Workspace
from spaces.errors import UserError
from tests.support.studies import mlflow_study
from tests.support.studies.simulated import Simulation


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one simulated study and its frozen verdict."""
    folder = tmp_path_factory.mktemp("original") / "runs"
    tracking = mlflow_study.write(folder, Simulation(experiment="joint", explore=8, seeds=3, leaders=2))
    client = open_client(tracking)
    study = load_study("joint", tracking)
    verdict = reports.verdict_of("joint", tracking)
    client.log_dict(study.run.run_id, verdict.to_dict(), names.VERDICT_JSON)
    client.set_tag(study.run.run_id, names.VERDICT_HASH, verdict.hash())
    return folder


@pytest.fixture
def workspace(original: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(original, tmp_path / "runs")
    return Workspace.at(tmp_path / "runs")


@pytest.fixture
def client(workspace: Workspace) -> MlflowClient:
    return open_client(workspace.tracking_uri)


@pytest.mark.slow
def test_a_finished_report_is_never_replaced_by_one_of_less(
    workspace: Workspace, client: MlflowClient
) -> None:
    page = reports.build(["joint"], workspace.tracking_uri, workspace.reports)
    before = page.read_bytes()
    confirmed = load_study("joint", workspace.tracking_uri).confirmations
    client.delete_run(confirmed.run_id.iloc[0])
    with pytest.raises(UserError, match="no longer holds 1 of the confirmed evaluations"):
        reports.build(["joint"], workspace.tracking_uri, workspace.reports)
    assert page.read_bytes() == before
    client.restore_run(confirmed.run_id.iloc[0])
    reports.build(["joint"], workspace.tracking_uri, workspace.reports)


@pytest.mark.slow
def test_an_experiment_renamed_in_the_pages_is_found_by_its_own_name(
    workspace: Workspace, client: MlflowClient
) -> None:
    before = load_study("joint", workspace.tracking_uri)
    client.rename_experiment(before.experiment_id, "another name")
    study = load_study("joint", workspace.tracking_uri)
    assert study.experiment == "joint"
    assert study.run.run_id == before.run.run_id
    assert len(study.evaluations) == len(before.evaluations)
    assert reports.verdict_of("joint", workspace.tracking_uri).hash() == before.run.tags[names.VERDICT_HASH]


def test_two_runs_of_one_study_are_one_study_with_its_verdict(
    workspace: Workspace, client: MlflowClient
) -> None:
    study = load_study("joint", workspace.tracking_uri)
    tags = {key: study.run.tags[key] for key in (names.KIND, names.STUDY, names.EXPERIMENT)}
    client.create_run(study.experiment_id, tags=tags | {names.RESUMED: "9999999999999"})
    assert [run.run_id for run in studies(study.store, study.experiment_id)] == [study.run.run_id]
    assert len(load_study("joint", workspace.tracking_uri).runs) == len(study.runs)
