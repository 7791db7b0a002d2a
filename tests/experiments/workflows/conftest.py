"""One small finished study in a real workspace, trained once for all tests of this folder."""

import io

import pytest
from rich.console import Console
from trained_study import EXPERIMENT, Trained

from experiments.schema.experiment import ExperimentConfig
from experiments.workflows.console.progress import Progress
from experiments.workflows.study import search
from experiments.workflows.study.context import RunContext
from search.workspace import Workspace


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("records")
    file = folder / "recorded.toml"
    file.write_text(EXPERIMENT)
    workspace = Workspace.at(folder / "runs")
    context = RunContext(workspace, workers=2)
    finished = search.search(
        ExperimentConfig.load(file), context, Progress(Console(file=io.StringIO()), quiet=True)
    )
    assert finished.over
    assert not finished.waiting
    return Trained(workspace, finished.sentences)
