"""A checkpoint is whole or absent, whenever the process that writes it dies."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from search.training.checkpoint import (
    STATE,
    Checkpoint,
    State,
    load,
    save,
)

_SAVES_FOR_EVER = """
import sys, itertools, pathlib, numpy as np
from search.training.checkpoint import State, save
for n in itertools.count():
    save(pathlib.Path(sys.argv[1]), State({"model": [np.full(50_000, n), np.full((3, 4), n)]}, {"n": n}))
"""


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    arrays = {
        "model": [np.arange(6.0).reshape(2, 3), np.uint32(7)],
        "optimizer": [np.int64(1)] * 12,
        "kept": [],
    }
    save(tmp_path / "new" / "folder", State(arrays, {"history": [{"loss": 0.1}], "seed": 3}))
    state = load(tmp_path / "new" / "folder")
    assert state is not None
    assert state.record == {"history": [{"loss": 0.1}], "seed": 3}
    for name in ("model", "optimizer"):
        assert all(np.array_equal(a, b) for a, b in zip(state.arrays[name], arrays[name], strict=True))
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == [STATE]


def test_a_kill_at_any_moment_leaves_a_whole_state_and_no_rest(tmp_path: Path) -> None:
    last = -1
    for milliseconds in (3, 17, 40, 90):
        process = subprocess.Popen([sys.executable, "-c", _SAVES_FOR_EVER, str(tmp_path)])
        (tmp_path / STATE).unlink(missing_ok=True)
        while not (tmp_path / STATE).exists():
            time.sleep(0.002)
        time.sleep(milliseconds / 1000)
        process.send_signal(signal.SIGKILL)
        process.wait()
        state = load(tmp_path)
        assert state is not None
        last = state.record["n"]
        assert all((array == last).all() for array in state.arrays["model"])
        assert [path.name for path in tmp_path.iterdir()] == [STATE]
    assert last > 0


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"\x93NUMPY"])
def test_an_unreadable_state_counts_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / STATE).write_bytes(content)
    assert load(tmp_path) is None


def test_without_a_state_there_is_none(tmp_path: Path) -> None:
    assert load(tmp_path / "missing") is None


def test_saving_gets_rarer_where_it_costs_more_than_it_protects(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path)
    epochs: list[int] = []
    saved: list[int] = []

    def state() -> State:
        saved.append(len(epochs))
        time.sleep(0.02)  # more than 2% of 0.3 s, less than 2% of a minute
        return State({"model": [np.zeros(3)]}, {})

    for seconds in (0.1, 0.1, 0.1, 60.0, 0.1):
        epochs.append(1)
        checkpoint.worked(seconds, state)
    assert saved == [1, 4]
    checkpoint.save(state)
    checkpoint.save(state)
    assert saved == [1, 4, 5]
