"""Which tests are slow, and which must run in one process because they share what is costly to make.

`make quick` leaves out what is slow. `make test` runs two processes, which take groups of tests in turns.
"""

import os
from collections.abc import Iterator

import pytest

from search.execution.fork_client import ForkServer

if os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")  # two processes on two cores

#: Fixtures made once for many tests, by training, by a server or by a process that imports Keras.
SHARED = ("trained", "server", "stand_ins", "begun", "network_file", "tracking_uri")
#: Those of them that make a test slow.
SLOW_FIXTURES = {"trained", "server", "stand_ins", "begun", "written", "seen"}
#: Marks of tests that are slow whatever they measure.
SLOW_MARKS = ("trains", "browser", "postgres")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    parallel = getattr(config.option, "dist", "no") == "loadgroup"
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if fixtures & SLOW_FIXTURES or any(item.get_closest_marker(mark) for mark in SLOW_MARKS):
            item.add_marker(pytest.mark.slow)
        if parallel:
            shared = [name for name in SHARED if name in fixtures]
            item.add_marker(pytest.mark.xdist_group(shared[0] if shared else item.path.stem))
    if parallel:  # what takes long first, so that neither process waits for the other in the end
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A fork server that has imported Keras."""
    running = ForkServer(tmp_path_factory.mktemp("logs") / "children.log")
    running.start()
    assert running.wait_until_ready(240)
    yield running
    running.close()
