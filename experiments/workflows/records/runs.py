"""What a workspace holds: its studies with their sizes on disk, and how to name one."""

import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.records.open_store import open_store
from reports.records.store import Run, Store, folder_of
from reports.records.study import studies
from search.safety.paths import checked_name, is_name, starting_with
from search.sqlite_files import is_absent
from search.tracking import names
from search.workspace import Workspace
from spaces.errors import UserError

_SHORTEST = 4
_STATES = {"FINISHED": "finished", "RUNNING": "running", "SCHEDULED": "running"}
_OF_RUN = re.compile(r"^run_id: ['\"]?([0-9a-f]{32})", re.MULTILINE)


@dataclass(frozen=True)
class StoredStudy:
    """One study and the bytes that it takes in the workspace.

    Attributes:
        newest: of its experiment's studies.
        interrupted: it is open in MLflow, and its process, of this machine, is gone.
    """

    experiment: str
    experiment_id: str  # MLflow's
    study: str
    parent: Run
    runs: tuple[Run, ...]  # evaluations and openings of the test set
    newest: bool
    sizes: Mapping[str, int]  # artifacts, models, checkpoints, spool, reports
    interrupted: bool = False

    @property
    def state(self) -> str:
        """In a word."""
        return "interrupted" if self.interrupted else _STATES.get(self.parent.status, "stopped")

    @property
    def evaluations(self) -> int:
        """How many, finished or not."""
        return sum(run.tags.get(names.KIND) == names.EVALUATION_KIND for run in self.runs)

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(self.sizes.values())


def stored_studies(workspace: Workspace, tracking_uri: str) -> list[StoredStudy]:
    """Every study that MLflow knows, by experiment, the one last worked on first.

    Args:
        workspace: The workspace.
        tracking_uri: MLflow's address.
    """
    if is_absent(tracking_uri):
        return []
    store = open_store(tracking_uri)
    return [
        stored
        for experiment, number in store.experiments().items()
        for stored in _of_experiment(store, workspace, experiment, number)
    ]


def find_study(text: str, stored: Sequence[StoredStudy]) -> StoredStudy:
    """The study of this id, or the only one of the experiment of this name. Raises UserError.

    Args:
        text: An id, the beginning of one, or an experiment's name.
        stored: The studies to choose from.
    """
    own = [one for one in stored if one.experiment == text]
    if len(own) > 1:
        known = ", ".join(one.study for one in own)
        raise UserError(f"{text} has {len(own)} studies, newest first {known}: say which one by its id")
    meant = own or [one for one in stored if len(text) >= _SHORTEST and one.study.startswith(text)]
    if len(meant) > 1:
        raise UserError(f"{text} is the beginning of {len(meant)} study ids: give more of it")
    if not meant:
        known = ", ".join(f"{one.experiment} ({one.study})" for one in stored) or "none"
        raise UserError(f"there is no study {text}; there is {known}")
    return meant[0]


def _of_experiment(store: Store, workspace: Workspace, experiment: str, number: str) -> Iterator[StoredStudy]:
    for place, parent in enumerate(studies(store, number)):
        study, name = parent.tags.get(names.STUDY, ""), parent.tags.get(names.EXPERIMENT, experiment)
        runs = [run for run in store.runs(number, {names.STUDY: study}) if run.run_id != parent.run_id]
        sizes = _sizes(store, workspace, name, study, [parent, *runs], newest=place == 0)
        interrupted = _is_interrupted(parent, store, workspace)
        yield StoredStudy(name, number, study, parent, tuple(runs), place == 0, sizes, interrupted)


def _is_interrupted(parent: Run, store: Store, workspace: Workspace) -> bool:
    """Whether an open study of this machine has no process any more; of others nothing is known here."""
    if _STATES.get(parent.status) != "running" or store.home is None:
        return False
    pid = parent.tags.get(names.PID, "")
    here = parent.tags.get(names.HOST) == socket.gethostname() and pid.isdecimal()
    return here and workspace.is_idle() and not Path("/proc", pid).exists()


def _sizes(
    store: Store, workspace: Workspace, experiment: str, study: str, runs: Sequence[Run], *, newest: bool
) -> dict[str, int]:
    if not (is_name(experiment) and is_name(study)):
        return {}
    folders = [folder for run in runs if (folder := folder_of(run, store.home)) is not None]
    spools = [path / "files" for path in starting_with(workspace.spool, experiment)]
    logged = logged_models(workspace, experiment, {run.run_id for run in runs})
    return {
        "artifacts": sum(map(size_of, folders)),
        "models": sum(map(size_of, logged)),
        "checkpoints": sum(map(size_of, starting_with(workspace.checkpoints, f"{study}-"))),
        "spool": sum(size_of(path) for files in spools for path in starting_with(files, f"{study}-")),
        "reports": size_of(workspace.reports / experiment) if newest else 0,
    }


def logged_models(workspace: Workspace, experiment: str, run_ids: set[str]) -> list[Path]:
    """The folders of registered models that come from these runs. The experiment's name is checked.

    Args:
        workspace: The workspace.
        experiment: The experiment's name.
        run_ids: The runs.
    """
    checked_name(experiment, "experiment")
    files = (workspace.artifacts / experiment / "models").glob("*/artifacts/MLmodel")
    return [file.parent for file in files if set(_OF_RUN.findall(file.read_text())) & run_ids]


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; 0 if it is gone.

    Args:
        path: It need not exist.
    """
    try:
        if path.is_file():
            return path.stat().st_size
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    except FileNotFoundError:  # a study that runs removes what it has delivered
        return 0
