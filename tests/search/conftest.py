"""What the tests of search share: small data, a study config on them, studies of stand-in evaluations."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from search.datasets.prepare import Prepared, prepare
from search.execution.fork_client import ForkServer
from search.protocol import Protocol
from search.study.optuna.storage import open_storage
from search.study.planning.config import StudyConfig
from search.study.stages.confirm import Confirm
from search.workers.coordinator import Coordinator
from tests.support.studies import small_study
from tests.support.studies.studies import Seen, Started


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    cache = tmp_path_factory.mktemp("cache")
    source = "synthetic:train=300,validation=120,test=60"
    return prepare(source, cache, say=lambda text: None)


@pytest.fixture
def config_for(prepared: Prepared) -> Callable[..., StudyConfig]:
    """A study config on the small data; keyword arguments of Protocol, others under `config`."""

    def make(config: dict[str, Any] | None = None, **protocol: Any) -> StudyConfig:
        fields: dict[str, Any] = {
            "experiment": "small",
            "question": "Does it hold?",
            "space": "plain_cnn",
            "recipe": {"batch_size": 64},
            "precision": "float32",
            "threads": 1,
            "identity": {"space": "plain_cnn"},
        }
        return StudyConfig(
            data=prepared,
            protocol=Protocol(**{"trials": 6, "seeds": 5, "epochs": 2, **protocol}),
            **(fields | (config or {})),
        )

    return make


@pytest.fixture
def storage_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'studies.db'}"


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A fork server whose children train nothing."""
    server = ForkServer(tmp_path_factory.mktemp("logs") / "children.log", small_study.BODY)
    yield server
    server.close()


@pytest.fixture
def confirm(stand_ins: ForkServer, tmp_path: Path) -> Callable[..., Seen]:
    """Run cells to their end with real children and a real storage; what was seen."""

    def run(
        *cells: dict[str, Any], workers: int = 2, say: Callable[[str], None] = print, **protocol: Any
    ) -> Seen:
        config = small_study.config(cells, **{"seeds": 1, **protocol})
        stage = Confirm(
            config, open_storage(f"sqlite:///{tmp_path / 'studies.db'}"), tmp_path, "small/confirm"
        )
        stage.plan_cells()
        seen = Seen()
        Coordinator(stand_ins, workers, [seen], say).run(stage)
        return seen

    return run


@pytest.fixture
def begun(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Started]:
    """A study that is to run in a process of its own."""

    def make(
        cells: list[dict[str, Any]], workers: int = 2, fix: dict[str, Any] | None = None, **protocol: Any
    ) -> Started:
        return Started(
            tmp_path_factory.mktemp("study"),
            {"cells": cells, "fix": fix, "workers": workers, "protocol": {"seeds": 1, **protocol}},
        )

    return make
