"""What lies in a packed study: where each thing is, predictions taken apart and put together, and the checks.

mlflow.db                                  the runs: rows of MLflow's own tables
studies.db                                 the trials: Optuna's storage
artifacts/RUN/artifacts/...                what the runs logged
predictions/SPLIT/shared.npz, RUN.npz      their predictions, see `probabilities`
galleries/tiles.png, galleries.json        their galleries, see `galleries`
checkpoints/STUDY-STAGE-SLOT-SEED/...      evaluations that are not over, if they were asked for
"""

import hashlib
import re
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from search.archives import container, galleries, mlflow_rows, probabilities, tables
from search.archives.container import Manifest
from search.tracking import names
from spaces.errors import UserError

MLFLOW_DB: Final = "mlflow.db"
OPTUNA_DB: Final = "studies.db"
ARTIFACTS: Final = "artifacts"
CHECKPOINTS: Final = "checkpoints"
_PREDICTIONS: Final = "predictions"
_GALLERIES: Final = "galleries"
_SHARED: Final = "shared.npz"
#: Tables without which a file is no storage of Optuna's.
_OPTUNA_TABLES: Final = ("studies", "trials", "trial_user_attributes", "study_user_attributes")
_RUN_ID: Final = re.compile(r"[0-9a-f]{32}")
_CHECKPOINT: Final = re.compile(r"[0-9a-f]{4,64}-[a-z]+-[0-9]+-[0-9]+")
#: What a page with pictures never holds: a file made elsewhere is not to run anything in a reader's browser.
_ACTIVE: Final = re.compile(
    rb"<\s*(?:script|iframe|object|embed|base|form|meta\s+http-equiv)|javascript:|[\s/\"']on\w+\s*=",
    re.IGNORECASE,
)
#: Bytes that files inside a file may become, and how many times their size.
_MAX_INNER: Final = 4 * 2**30
_MAX_INNER_RATIO: Final = 1000


def run_folder(folder: Path, run_id: str) -> Path:
    """Where the artifacts of a run lie in an unpacked study."""
    return folder / ARTIFACTS / run_id / ARTIFACTS


def compact_predictions(folder: Path) -> None:
    """Take the predictions of all runs apart, in place. What Candor did not write stays as it is."""
    for file in sorted((folder / ARTIFACTS).glob(f"*/{ARTIFACTS}/{names.PREDICTIONS_NPZ}")):
        try:
            shared, own = probabilities.split(file)
        except probabilities.NotPackable:
            continue
        place = folder / _PREDICTIONS / hashlib.sha256(shared).hexdigest()[:12]
        place.mkdir(parents=True, exist_ok=True)
        (place / _SHARED).write_bytes(shared)
        (place / f"{file.parents[1].name}.npz").write_bytes(own)
        file.unlink()


def compact_galleries(folder: Path) -> None:
    """Store the galleries of all runs together, in place."""
    files = {
        file.parents[1].name: file for file in (folder / ARTIFACTS).glob(f"*/{ARTIFACTS}/{names.GALLERY_PNG}")
    }
    for run in galleries.split(files, folder / _GALLERIES):
        files[run].unlink()


def unpack(path: Path, folder: Path) -> Manifest:
    """Unpack a study into an empty folder, as `compact_predictions` found it, and check what it holds.

    Args:
        path: The packed study.
        folder: An existing empty folder.

    Returns:
        The manifest.

    Raises:
        UserError: The file is broken, foreign, of a newer version or dangerous. Nothing in it was executed.
    """
    manifest = container.extract(path, folder)
    try:
        for file in sorted(folder.rglob("*")):
            _check_file(file)
        _check_rows(folder, manifest)
        mlflow_rows.check_database(folder / OPTUNA_DB, _OPTUNA_TABLES)
        _expand_predictions(folder)
        _expand_galleries(folder)
    except (ValueError, sqlite3.Error) as error:
        raise UserError(f"{path} is damaged: {error}") from error
    except OSError as error:
        raise UserError(f"{path} cannot be unpacked to {folder}: {error.strerror or error}") from error
    return manifest


def _expand_predictions(folder: Path) -> None:
    for place in sorted((folder / _PREDICTIONS).glob("*")):
        shared = (place / _SHARED).read_bytes()
        for own in sorted(place.glob("*.npz")):
            if own.name != _SHARED:
                target = run_folder(folder, own.stem) / names.PREDICTIONS_NPZ
                probabilities.join(shared, own.read_bytes(), target)


def _expand_galleries(folder: Path) -> None:
    place = folder / _GALLERIES
    for run, (picture, text) in (galleries.join(place) if place.is_dir() else {}).items():
        if not _RUN_ID.fullmatch(run):
            raise ValueError("a gallery of no run")
        target = run_folder(folder, run) / names.GALLERY_PNG
        target.parent.mkdir(parents=True, exist_ok=True)
        picture.save(target, pnginfo=text)


def _check_rows(folder: Path, manifest: Manifest) -> None:
    """Raises ValueError unless the runs are those of one study and every artifact has its run."""
    database = folder / MLFLOW_DB
    mlflow_rows.check_database(database, tables.TABLES)
    with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        runs = {run for (run,) in connection.execute("SELECT run_uuid FROM runs")}
        tags = connection.execute("SELECT run_uuid, key, value FROM tags").fetchall()
        experiments = {name for (name,) in connection.execute("SELECT name FROM experiments")}
    if not all(isinstance(run, str) and _RUN_ID.fullmatch(run) for run in runs):
        raise ValueError("a run has an id that MLflow does not give")
    if manifest.experiment not in experiments:
        raise ValueError(f"it holds no experiment {manifest.experiment}")
    parents = {run for run, key, value in tags if (key, value) == (names.KIND, names.STUDY_KIND)}
    own = {run for run, key, value in tags if (key, value) == (names.STUDY, manifest.study)}
    if len(parents) != 1 or not parents <= own:
        raise ValueError(f"it does not hold study {manifest.study} alone")
    held = {place.name for place in (folder / ARTIFACTS).glob("*")}
    predicted = {file.stem for file in (folder / _PREDICTIONS).glob("*/*.npz") if file.name != _SHARED}
    if not held | predicted <= runs:
        raise ValueError(f"artifacts of a run that it does not hold: {min((held | predicted) - runs)}")
    for place in (folder / CHECKPOINTS).glob("*"):
        if not _CHECKPOINT.fullmatch(place.name) or not place.name.startswith(f"{manifest.study}-"):
            raise ValueError(f"a checkpoint of another study: {place.name}")


def _check_file(file: Path) -> None:
    """Raises ValueError for a page that would act, and for a zip in the zip that would burst."""
    if file.suffix == ".html" and _ACTIVE.search(file.read_bytes()):
        raise ValueError(f"{file.name} is a page that runs something in a browser: refused")
    if file.suffix in (".npz", ".keras") and file.is_file():
        if file.stat().st_size == 0:
            raise ValueError(f"{file.name} is empty")
        for size, packed in _inner(file):
            if size > _MAX_INNER or size > _MAX_INNER_RATIO * max(packed, 1) + 2**20:
                raise ValueError(f"{file.name} would take {size / 2**20:,.0f} MiB unpacked: refused")


def _inner(file: Path) -> Iterator[tuple[int, int]]:
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, OSError) as error:
        raise ValueError(f"{file.name} cannot be read ({error})") from error
    yield sum(entry.file_size for entry in entries), sum(entry.compress_size for entry in entries)
