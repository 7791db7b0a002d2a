"""The state of a training on disk: saved at once or not at all, read without pickle.

One file in one folder holds arrays and JSON. It is written beside its place, forced to the disk and
renamed, so a kill or a power cut at any moment leaves the old state or the new one; what was left half
written is overwritten by the next save and removed by the next load.
"""

import json
import os
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

STATE: Final = "state.npz"
_PARTIAL: Final = "state.npz.partial"
_RECORD: Final = "record"
#: Saving may take this share of the time; where it takes more, fewer epochs are saved.
_SHARE: Final = 0.02


class State(NamedTuple):
    """Lists of arrays by name, and everything else as JSON."""

    arrays: Mapping[str, Sequence[NDArray[Any]]]
    record: Mapping[str, Any]


class Checkpoint:
    """The checkpoint of one training, which saves as often as is cheap."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._cost = 0.0  # seconds that the last saving took
        self._at_risk = 0.0  # seconds of work that the saved state lacks

    def load(self) -> State | None:
        """What is saved: see `load`."""
        return load(self.folder)

    def worked(self, seconds: float, state: Callable[[], State]) -> None:
        """Note work, and save if what would be lost outweighs what saving costs.

        Args:
            seconds: The time that the work took.
            state: Gives the state to save.
        """
        self._at_risk += seconds
        if self._cost <= _SHARE * self._at_risk:
            self.save(state)

    def save(self, state: Callable[[], State]) -> None:
        """Save now, unless the state is saved already.

        Args:
            state: Gives the state to save.
        """
        if not self._at_risk:
            return
        started = time.perf_counter()
        save(self.folder, state())
        self._cost, self._at_risk = time.perf_counter() - started, 0.0


def save(folder: Path, state: State) -> None:
    """Replace the state in a folder.

    Args:
        folder: The folder; it is made where it is missing.
        state: What to save.
    """
    folder.mkdir(parents=True, exist_ok=True)
    flat = {f"{name}/{i}": array for name, arrays in state.arrays.items() for i, array in enumerate(arrays)}
    with (folder / _PARTIAL).open("wb") as file:
        np.savez(file, allow_pickle=False, **{_RECORD: np.array(json.dumps(state.record))}, **flat)
        file.flush()
        os.fsync(file.fileno())
    (folder / _PARTIAL).replace(folder / STATE)


def load(folder: Path) -> State | None:
    """Read the state in a folder.

    Args:
        folder: The folder.

    Returns:
        The state; None where there is none or it cannot be read. Training then starts anew.
    """
    (folder / _PARTIAL).unlink(missing_ok=True)
    try:
        with (folder / STATE).open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            record = json.loads(str(file[_RECORD]))
            arrays: dict[str, list[NDArray[Any]]] = {}
            for key in file.files:
                name, found, _ = key.partition("/")
                if found:
                    arrays.setdefault(name, []).append(file[key])
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
        return None
    return State(arrays, record)
