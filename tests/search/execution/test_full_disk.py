"""A disk that is full for a while: the study says so once, waits, and ends as if nothing had been.
Data that find no room on it are refused in one sentence.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.studies.studies import Started

CELLS = [{"cell": n, "epochs": 8, "seconds": 0.2} for n in range(4)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "candor", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def _fill(place: Path) -> Path:
    ballast = place / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return ballast


@pytest.mark.slow
def test_a_full_disk_pauses_a_study_until_there_is_room(small_disk: Path) -> None:
    """Storage, spool, checkpoints and MLflow are all on it; nothing is lost, nothing is told twice."""
    study = Started(small_disk, {"cells": CELLS, "workers": 2, "protocol": {"seeds": 1, "retries": 0}})
    with study.begin() as process:
        assert process.stdout is not None
        while not any(study.workspace.glob("checkpoints/*/checkpoint/state.npz")):
            time.sleep(0.05)
        ballast = _fill(small_disk)
        said = ""
        while "paused" not in said:
            said = process.stdout.readline()
            assert said, "it ended instead of waiting"
        time.sleep(1)
        ballast.unlink()
        printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert "paused" not in printed.partition("going on")[0]
    table = study.table()
    assert table.pop("study")[0] == "FINISHED"
    assert {(status, state, steps) for status, state, _, steps in table.values()} == {
        ("FINISHED", "complete", tuple(range(1, 9)))
    }
    assert (len(table), study.left_behind()) == (4, [])


def test_data_that_find_no_room_are_refused_and_leave_nothing(small_disk: Path) -> None:
    """The first byte too many in a memory map would end the process by a signal."""
    program = (
        "import sys, numpy as np; from pathlib import Path; from search.datasets.prepare import prepare;"
        "images = np.random.default_rng(0).integers(0, 256, (300, 320, 320), np.uint8);"
        "prepare((images, np.arange(300) % 3), Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", program, str(small_disk / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stderr.endswith(f"could not be prepared in {small_disk}/cache: No space left on device.\n")
    assert list((small_disk / "cache").iterdir()) == []
