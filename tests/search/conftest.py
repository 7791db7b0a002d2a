"""What the tests of search share: a small prepared data set and a study config on it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from search.datasets.prepare import Prepared, prepare
from search.execution.fork_client import ForkServer
from search.protocol import Protocol
from search.study.config import StudyConfig


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
            protocol=Protocol(**{"trials": 6, "epochs": 2, **protocol}),
            **(fields | (config or {})),
        )

    return make


@pytest.fixture
def storage_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'studies.db'}"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A fork server that has imported Keras."""
    running = ForkServer(tmp_path_factory.mktemp("logs") / "children.log")
    running.start()
    assert running.wait_until_ready(240)
    yield running
    running.close()
