"""Which tests are slow, and which must run in one process because they share what is costly to make.

`make quick` leaves out what is slow, and does not even import files that hold nothing else. `make test` runs
two processes, which take groups of tests in turns.
"""

import functools
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from search.execution.fork_client import ForkServer

#: Whether this is one of the processes of `make test`.
PARALLEL = "PYTEST_XDIST_WORKER" in os.environ
if PARALLEL:
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")  # two processes on two cores

#: The group of each fixture that is made once for many tests, by training or by importing Keras elsewhere.
SHARED = {
    **dict.fromkeys(("trained",), "trained"),
    **dict.fromkeys(("server",), "server"),
    **dict.fromkeys(("stand_ins", "confirm"), "stand-ins"),
    **dict.fromkeys(("network_file", "classifier", "run_of"), "network"),
    **dict.fromkeys(("tracking_uri", "joint", "grid", "wide", "empty", "written"), "reports"),
}
#: Fixtures that make a test slow: they start a server, write a whole report or import Keras.
SLOW_FIXTURES = {"trained", "server", "stand_ins", "begun", "written", "seen", "network_file"}
#: Marks of tests that are slow whatever they measure.
SLOW_MARKS = ("trains", "browser", "postgres")
#: What a file of slow tests alone has: an import of Keras, which takes seconds, or a mark for all its tests.
SLOW_FILE = re.compile(
    r"^(?:import|from) (?:keras|keras_tuner|tensorflow)\b"
    rf"|^pytestmark = (?:\[[^]]*)?pytest\.mark\.(?:slow|{'|'.join(SLOW_MARKS)})\b",
    re.MULTILINE,
)
QUICK = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[QUICK] = config.getoption("markexpr") == "not slow"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    quick = config.stash[QUICK] and collection_path.suffix == ".py"
    return True if quick and is_slow(collection_path) else None


def pytest_itemcollected(item: pytest.Item) -> None:
    fixtures = set(getattr(item, "fixturenames", ()))
    slow = fixtures & SLOW_FIXTURES or any(item.get_closest_marker(mark) for mark in SLOW_MARKS)
    if slow or is_slow(item.path):
        item.add_marker(pytest.mark.slow)


@functools.cache
def is_slow(file: Path) -> bool:
    """Whether all tests of a file are slow."""
    return SLOW_FILE.search(file.read_text(encoding="utf-8")) is not None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if PARALLEL:  # what takes long first, so that neither process waits for the other in the end
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Give out the tests of a group together: `xdist_group` does not work with pytest 9."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(config.rootpath / nodeid.partition("::")[0])

    return Groups(config, log)


@functools.cache
def group_of(file: Path) -> str:
    """The group of a file's tests: that of a shared fixture which one of them takes, or the file's own."""
    text = file.read_text(encoding="utf-8")
    groups = [group for name, group in SHARED.items() if re.search(rf"\b{name}: ", text)]
    return groups[0] if groups else str(file)


@pytest.fixture(autouse=True)
def modules_of_their_own(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Keep a test's own modules and variables from the next test, and Keras from the quick ones."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    before, environment = {*sys.modules}, {**os.environ}
    yield
    for name in {*os.environ, *environment} - {"PYTEST_CURRENT_TEST"}:  # MLflow writes its address there
        if name not in environment:
            del os.environ[name]
        elif os.environ.get(name) != environment[name]:
            os.environ[name] = environment[name]
    if request.config.stash[QUICK] and "keras" in {*sys.modules} - before:
        pytest.fail("this test imports Keras, which takes seconds: mark it as slow")
    folder = str(tmp_path_factory.getbasetemp())
    for name in {*sys.modules} - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(folder):
            del sys.modules[name]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A fork server that has imported Keras."""
    running = ForkServer(tmp_path_factory.mktemp("logs") / "children.log")
    running.start()
    assert running.wait_until_ready(240)
    yield running
    running.close()
