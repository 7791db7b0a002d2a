"""`candor pack`: a study becomes one file that says nothing of the machine it was made on."""

import json
import re
import shutil
import socket
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tomli_w

from experiments.workflows.records.rm import unused
from experiments.workflows.records.runs import StoredStudy
from experiments.workflows.study.context import RunContext
from reports.analysis import analyse
from reports.records.open_store import open_store
from reports.records.store import Run, folder_of
from reports.records.study import load_study
from search.archives import container, content, mlflow_rows
from search.archives.container import SUFFIX
from search.archives.without_machine import without_machine
from search.safety.paths import checked_name, starting_with
from search.study import transfer
from search.study.optuna.storage import Storage
from search.tracking import names
from search.tracking.client import open_client
from search.tracking.environment import versions
from search.tracking.privacy import public_source, public_study, public_value
from spaces.errors import UserError

#: Artifacts that are packed; models are asked for, galleries are those of the leader that the report shows.
_PACKED = frozenset(
    {
        names.EVALUATION_JSON,
        names.HISTORY_CSV,
        names.PREDICTIONS_NPZ,
        names.EXPERIMENT_TOML,
        names.LAYERS_JSON,
        names.STUDY_JSON,
        names.VERDICT_JSON,
    }
)
#: Those that show images of the data set, beside the galleries.
_PICTURES = frozenset({names.EXPLANATIONS_PNG, names.AUDIT_HTML})
_FOLDERS = (f"{names.AUDIT}/", f"{names.VERDICTS}/")
#: A host's name that can hardly be anything else.
_TELLING = re.compile(r"(?=.*[\d.-]).{6,}")


@dataclass(frozen=True)
class _Wanted:
    """What is asked for: see `pack`."""

    models: bool
    checkpoints: bool
    pictures: bool

    @property
    def artifacts(self) -> frozenset[str]:
        """Names of the artifacts of every run that are packed."""
        models = {names.MODEL_KERAS} if self.models else set()
        return _PACKED | models | (_PICTURES if self.pictures else set())


def pack(
    stored: StoredStudy,
    context: RunContext,
    out: Path | None,
    *,
    models: bool = False,
    checkpoints: bool = False,
    pictures: bool = True,
    say: Callable[[str], None] = print,
) -> Path:
    """Write a study into one file.

    Args:
        stored: The study.
        context: Where it lies.
        out: The file; None: EXPERIMENT.study.zip in the working folder.
        models: Pack the models that were kept, too.
        checkpoints: Pack the state of evaluations that are not over, so that they go on elsewhere.
        pictures: Pack what shows images of the data set: the audit's page, galleries and explanations.
        say: Takes a sentence about what stays behind.

    Returns:
        The file.

    Raises:
        UserError: Somebody works on the study, some of it waits for MLflow, or the file cannot be written.
    """
    file = _target(out, stored)
    with unused(stored, context) as storage:
        _check_delivered(stored, context)
        try:
            with TemporaryDirectory(prefix=".packing-", dir=file.parent) as scratch:
                folder = Path(scratch)
                wanted = _Wanted(models, checkpoints, pictures)
                about = _fill(folder, stored, context, storage, wanted)
                _check_private(folder, stored, context)
                container.write(file, folder, study=stored.study, experiment=stored.experiment, about=about)
        except OSError as error:
            raise UserError(f"{file} cannot be written: {error.strerror or error}") from error
    if not models and _has_models(stored, context):
        say("Its models stay here: --models packs them too.")
    if not checkpoints and starting_with(context.workspace.checkpoints, f"{stored.study}-"):
        say("Evaluations that are not over begin anew elsewhere: --checkpoints packs their state.")
    return file


def _target(out: Path | None, stored: StoredStudy) -> Path:
    file = out or Path(f"{checked_name(stored.experiment, 'experiment')}{SUFFIX}")
    if not file.name.endswith(".zip"):
        raise UserError(f"a packed study ends in {SUFFIX}. Received: {file}")
    if not file.absolute().parent.is_dir():
        raise UserError(f"there is no folder {file.absolute().parent}")
    if file.exists():
        try:
            held = container.read_manifest(file).study
        except UserError:
            held = ""
        if held != stored.study:
            raise UserError(f"{file} is there already and holds something else: name another file with --out")
    return file.absolute()


def _check_delivered(stored: StoredStudy, context: RunContext) -> None:
    """Raises UserError while records of the study wait for MLflow."""
    waiting = 0
    for spool in starting_with(context.workspace.spool, stored.experiment):
        for record in spool.glob("*.json"):
            key = str(json.loads(record.read_text())["content"].get("key", ""))
            waiting += key.partition("/")[0] == stored.study
    if waiting:
        raise UserError(
            f"{waiting} records of study {stored.study} still wait for MLflow: `candor doctor --fix` "
            "delivers them; then pack it"
        )


def _fill(
    folder: Path,
    stored: StoredStudy,
    context: RunContext,
    storage: Storage,
    wanted: "_Wanted",
) -> dict[str, Any]:
    """Lay out in a folder what the file will hold; what the manifest says about it."""
    tags = stored.parent.tags
    found = mlflow_rows.read_rows(
        context.tracking, stored.experiment_id, stored.study, tags.get(names.TEST_DIGEST, "")
    )
    database = folder / content.MLFLOW_DB
    mlflow_rows.create_store(database, stored.experiment_id, stored.experiment)
    shown = without_machine(found, stored.study)
    mlflow_rows.write_rows(database, shown, stored.experiment_id)
    mlflow_rows.compact(database)
    stages = transfer.stages_of(storage, stored.experiment, stored.study)
    trials = transfer.pack_trials(storage, stages, folder / content.OPTUNA_DB)
    mlflow_rows.compact(folder / content.OPTUNA_DB)
    shown_runs = _shown_galleries(stored, context) if wanted.pictures else set()
    for run in (stored.parent, *stored.runs):
        own = wanted.artifacts | ({names.GALLERY_PNG} if run.run_id in shown_runs else set())
        _pack_artifacts(run, content.run_folder(folder, run.run_id), context, own)
    content.compact_predictions(folder)
    content.compact_galleries(folder)
    if wanted.checkpoints:
        for place in starting_with(context.workspace.checkpoints, f"{stored.study}-"):
            shutil.copytree(place, folder / content.CHECKPOINTS / place.name)
    return {
        "evaluations": stored.evaluations,
        "trials": trials,
        "state": stored.state,
        "models": wanted.models,
        "checkpoints": wanted.checkpoints,
        "data_digest": tags.get(names.DATA_DIGEST, ""),
        "split_digest": tags.get(names.SPLIT_DIGEST, ""),
        "source": _source(content.run_folder(folder, stored.parent.run_id)),
        "packed_by": {name: versions().get(name, "") for name in ("candor", "mlflow", "optuna")},
    }


def _source(parent: Path) -> str:
    """Where the study's images came from, "" where it does not say."""
    file = parent / names.STUDY_JSON
    about = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return str(about.get("data", {}).get("source", ""))


def _shown_galleries(stored: StoredStudy, context: RunContext) -> set[str]:
    """The runs whose galleries the report shows."""
    analysis = analyse(load_study(stored.experiment, context.tracking, stored.study))
    return set(analysis.runs_of(analysis.leader).run_id) if analysis.rows else set()


def _pack_artifacts(run: Run, target: Path, context: RunContext, wanted: AbstractSet[str]) -> None:
    """Copy a run's artifacts of these names, and those of the audit and the verdicts but for its page."""
    with TemporaryDirectory(prefix="candor-") as scratch:
        source = folder_of(run, open_store(context.tracking).home) or _fetched(run, context, Path(scratch))
        for file in sorted(source.rglob("*")):
            name = file.relative_to(source).as_posix()
            packed = name in wanted or (name.startswith(_FOLDERS) and name != names.AUDIT_HTML)
            if packed and file.is_file() and not file.is_symlink():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                _copy(file, target / name)


def _fetched(run: Run, context: RunContext, folder: Path) -> Path:
    """A server's artifacts of a run, in a folder. Raises UserError where it does not hand them out."""
    client = open_client(context.tracking)
    try:
        if client.list_artifacts(run.run_id):
            client.download_artifacts(run.run_id, "", str(folder))
    except Exception as error:  # every artifact store raises its own kind
        raise UserError(
            f"MLflow did not hand out the artifacts of run {run.run_id} ({type(error).__name__}): see that "
            "its server and its artifact store answer, and pack again"
        ) from error
    return folder


def _copy(source: Path, target: Path) -> None:
    """Copy an artifact; what it says of the machine stays behind."""
    if source.name == names.STUDY_JSON:
        about = json.loads(source.read_text(encoding="utf-8"))
        target.write_text(json.dumps(public_study(about), indent=1), encoding="utf-8")
    elif source.name == names.EVALUATION_JSON:
        record = json.loads(source.read_text(encoding="utf-8"))
        target.write_text(json.dumps(public_value(record), indent=1), encoding="utf-8")
    elif source.name == names.EXPERIMENT_TOML:
        document = tomllib.loads(source.read_text(encoding="utf-8"))
        if "source" in document.get("data", {}):
            document["data"]["source"] = public_source(document["data"]["source"])
        target.write_text(tomli_w.dumps(document), encoding="utf-8")
    else:
        shutil.copyfile(source, target)


def _check_private(folder: Path, stored: StoredStudy, context: RunContext) -> None:
    """Raises UserError where a file still names this machine: better no file than one that tells."""
    hosts = {run.tags[names.HOST] for run in stored.runs if names.HOST in run.tags} | {socket.gethostname()}
    folders = {str(Path.home()), str(context.workspace.folder)}
    telling = {f"{place}/": "a folder of this machine" for place in folders if len(place) > 1}
    telling |= {host: "a machine's name" for host in hosts if _TELLING.fullmatch(host)}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        for data in _contents(file):
            for word, what in telling.items():
                if word.encode() in data:
                    raise UserError(
                        f"{file.relative_to(folder)} of study {stored.study} holds {what} ({word}): "
                        "nothing was packed"
                    )


def _contents(file: Path) -> Iterator[bytes]:
    """A file's bytes, and those of the files in it."""
    yield file.read_bytes()
    if file.suffix in (".npz", ".keras") and zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                yield name.encode() + archive.read(name)


def _has_models(stored: StoredStudy, context: RunContext) -> bool:
    home = open_store(context.tracking).home
    folders = [folder_of(run, home) for run in stored.runs]
    return any((folder / names.MODEL_KERAS).is_file() for folder in folders if folder is not None)
