"""One MLflow store with studies of every kind, written once for all tests of the reports."""

from pathlib import Path

import pytest

from reports.analysis import Analysis, analyse
from reports.records.study import load_study
from tests.support.studies.mlflow_study import write
from tests.support.studies.simulated import START, Simulation

STUDIES = (
    Simulation("joint", explore=16, leaders=3, seeds=4, images=400, epochs=8, unsealed=True),
    Simulation("young", "aa11", explore=4, images=200, epochs=4, confirm=False, running=True, synthetic=True),
    Simulation("grid", "bb22", grid=True, seeds=3, images=300, epochs=4, published=()),
    Simulation("lossy", "cc33", explore=3, leaders=1, seeds=3, images=200, epochs=4, without_predictions=2),
    Simulation("again", "dd44", explore=1, images=100, epochs=2, confirm=False),
    Simulation("again", "ee55", explore=2, images=100, epochs=2, confirm=False, started=START + 10**9),
    Simulation("wide", "ac88", explore=40, images=100, epochs=2, confirm=False, published=()),
    Simulation("empty", "ff66", explore=0, confirm=False, running=True, published=()),
)


@pytest.fixture(scope="session")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the store."""
    return write(tmp_path_factory.mktemp("mlflow"), *STUDIES)


@pytest.fixture(scope="session")
def joint(tracking_uri: str) -> Analysis:
    """A finished study with four confirmed candidates on four seeds, its test set opened."""
    return analyse(load_study("joint", tracking_uri))


@pytest.fixture(scope="session")
def empty(tracking_uri: str) -> Analysis:
    """A study that has just begun."""
    return analyse(load_study("empty", tracking_uri))


@pytest.fixture(scope="session")
def grid(tracking_uri: str) -> Analysis:
    """A study whose cells are all confirmed and of which nothing was explored."""
    return analyse(load_study("grid", tracking_uri))


@pytest.fixture(scope="session")
def wide(tracking_uri: str) -> Analysis:
    """A study that explored forty candidates and confirmed none."""
    return analyse(load_study("wide", tracking_uri))


@pytest.fixture(scope="session")
def written(tracking_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with every experiment's report."""
    import reports

    folder = tmp_path_factory.mktemp("reports")
    reports.build([], tracking_uri, folder, ui_url="http://127.0.0.1:5000")
    return folder
