"""Studies in files: read where they are, merged where several are parts of one, without a workspace."""

import atexit
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from reports.records.mlflow_sqlite import SqliteStore
from reports.records.predictions import Predictions, read_predictions
from reports.records.store import MissingArtifactError, Run, Store, in_order, local_artifact
from search.archives import content
from search.archives.container import Manifest
from search.sqlite_files import sqlite_url
from search.tracking import names
from spaces.errors import UserError

#: Metrics that differ from one training of an evaluation to the next.
_OF_THE_MACHINE = (names.SECONDS, names.IMAGES_PER_SECOND, names.PEAK_RSS_MIB, names.EPOCH_SECONDS)
#: The states of an evaluation that is over.
_OVER = frozenset(names.STATES) - {names.RUNNING}


@dataclass(frozen=True)
class PackedStore:
    """One packed study, unpacked into a folder that lives as long as the process. See Store."""

    path: Path
    manifest: Manifest
    folder: Path
    rows: Store

    @classmethod
    def open(cls, path: Path, folder: Path | None = None) -> "PackedStore":
        """Check and unpack a file; into this empty folder if one is given. Raises UserError."""
        place = folder or _scratch()
        manifest = content.unpack(path, place)
        rows = SqliteStore.open(sqlite_url(place.absolute() / content.MLFLOW_DB))
        if rows is None:
            raise UserError(
                f"{path} was packed with a version of MLflow whose tables this Candor does not know: "
                "update Candor"
            )
        return cls(path, manifest, place, rows)

    @property
    def home(self) -> Path | None:
        """The folder that the study was unpacked into."""
        return self.folder.absolute()

    def experiments(self) -> dict[str, str]:
        """See Store."""
        return {
            name: number
            for name, number in self.rows.experiments().items()
            if name == self.manifest.experiment
        }

    def runs(self, experiment_id: str, tags: Mapping[str, str]) -> list[Run]:
        """See Store."""
        return [
            replace(run, artifact_uri=content.run_folder(self.folder.absolute(), run.run_id).as_uri())
            for run in self.rows.runs(experiment_id, tags)
        ]

    def history(self, run_ids: Sequence[str], metrics: Sequence[str]) -> pd.DataFrame:
        """See Store."""
        return self.rows.history(run_ids, metrics)

    def artifact(self, run: Run, path: str) -> Path:
        """See Store."""
        return _local(run, path)


@dataclass(frozen=True)
class Merge:
    """How the runs of a second store join those of a first.

    Attributes:
        added: Runs that only the second has.
        replacing: Run of the second to the run of the first whose place it takes: that one is not over.
    """

    added: tuple[Run, ...]
    replacing: Mapping[str, Run]

    @property
    def taken(self) -> tuple[str, ...]:
        """Ids of all runs of the second store that join."""
        return tuple(sorted([*(run.run_id for run in self.added), *self.replacing]))


@dataclass(frozen=True)
class MergedStore:
    """Several packed parts of one study as one store. See Store."""

    parts: tuple[PackedStore, ...]
    number: str
    held: tuple[Run, ...]
    places: Mapping[str, PackedStore]

    @classmethod
    def of(cls, parts: Sequence[PackedStore]) -> "MergedStore":
        """Join parts of one study, run by run. Raises UserError where two differ."""
        first = parts[0]
        number = first.experiments()[first.manifest.experiment]
        held = {run.run_id: run for run in first.runs(number, {})}
        places = dict.fromkeys(held, first)
        for part in parts[1:]:
            theirs = part.runs(part.experiments()[part.manifest.experiment], {})
            ours = list(held.values())
            merge = merged(ours, theirs, part.path.name)
            for replaced in merge.replacing.values():
                del held[replaced.run_id]
            for run in theirs:
                if run.run_id in merge.taken:
                    held[run.run_id], places[run.run_id] = run, part
            parent = joined_parent(ours, theirs)
            held.pop(parent_of(ours).run_id)
            held[parent.run_id] = parent
            if parent.run_id not in {run.run_id for run in ours}:
                places[parent.run_id] = part
        return cls(tuple(parts), number, tuple(in_order(list(held.values()))), places)

    @property
    def home(self) -> Path | None:
        """None: its parts lie in several folders."""
        return None

    def experiments(self) -> dict[str, str]:
        """See Store."""
        return {self.parts[0].manifest.experiment: self.number}

    def runs(self, experiment_id: str, tags: Mapping[str, str]) -> list[Run]:
        """See Store."""
        wanted = tags.items()
        return [run for run in self.held if experiment_id == self.number and wanted <= dict(run.tags).items()]

    def history(self, run_ids: Sequence[str], metrics: Sequence[str]) -> pd.DataFrame:
        """See Store."""
        frames = []
        for part in self.parts:
            own = [run for run in run_ids if self.places.get(run) is part]
            if own:
                frames.append(part.history(own, metrics))
        if not frames:
            return self.parts[0].history([], metrics)
        whole = pd.concat(frames, ignore_index=True)
        return whole.sort_values(["run_id", "metric", "step", "value"], kind="stable", ignore_index=True)

    def artifact(self, run: Run, path: str) -> Path:
        """See Store."""
        return _local(run, path)


def open_packed(paths: Sequence[Path]) -> list[PackedStore | MergedStore]:
    """Open packed studies, those of one study merged; in the order in which studies are first named.

    Args:
        paths: Files that `candor pack` wrote.

    Raises:
        UserError: A file cannot be read, or two files of one study contradict each other.
    """
    parts: dict[str, list[PackedStore]] = {}
    for path in dict.fromkeys(path.resolve() for path in paths):
        part = PackedStore.open(path)
        parts.setdefault(part.manifest.study, []).append(part)
    return [own[0] if len(own) == 1 else MergedStore.of(own) for own in parts.values()]


def merged(ours: Sequence[Run], theirs: Sequence[Run], name: str) -> Merge:
    """How the second of two stores of one study joins the first: the union of their evaluations, by key.

    Of an evaluation that both have, one that is over takes the place of one that is not. Two that are over
    must agree in everything that a seed decides: candidate, parameters, metrics and predictions.

    Args:
        ours: Runs of the first.
        theirs: Runs of the second.
        name: What to call the second in a message.

    Raises:
        UserError: An evaluation has different results; it is named.
    """
    held = {_key(run): run for run in ours}
    added, replacing = [], {}
    for run in theirs:
        known = held.get(_key(run))
        if known is None:
            added.append(run)
        elif run.tags.get(names.KIND) != names.STUDY_KIND:
            if _is_over(run) and not _is_over(known):
                replacing[run.run_id] = known
            elif _is_over(run) and (difference := _difference(known, run)):
                raise UserError(
                    f"{name} cannot be merged: evaluation {_key(run)} has another {difference} there. "
                    "The two were trained apart; keep one of them"
                )
    return Merge(tuple(added), replacing)


def _key(run: Run) -> str:
    """What makes two runs one evaluation."""
    return run.tags.get(names.KEY) or run.run_id


def _is_over(run: Run) -> bool:
    return run.tags.get(names.STATE) in _OVER


def _difference(ours: Run, theirs: Run) -> str:
    """What two runs of one evaluation disagree about, "" for nothing."""
    for tag, what in ((names.STATE, "end"), (names.CANDIDATE, "candidate")):
        if ours.tags.get(tag) != theirs.tags.get(tag):
            return what
    if dict(ours.params) != dict(theirs.params):
        return "parameter"
    for metric in sorted({*ours.metrics, *theirs.metrics} - set(_OF_THE_MACHINE)):
        a, b = ours.metrics.get(metric, np.nan), theirs.metrics.get(metric, np.nan)
        if not np.array_equal(a, b, equal_nan=True):
            return metric
    return "" if _same_predictions(ours, theirs) else "prediction"


def _same_predictions(ours: Run, theirs: Run) -> bool:
    first, second = _predictions(ours), _predictions(theirs)
    if first is None or second is None:
        return first is second
    return all(np.array_equal(value, getattr(second, name)) for name, value in vars(first).items())


def _predictions(run: Run) -> Predictions | None:
    try:
        return read_predictions(_local(run, names.PREDICTIONS_NPZ))
    except MissingArtifactError:
        return None


def parent_of(runs: Sequence[Run]) -> Run:
    """The study's own run among its runs."""
    return next(run for run in runs if run.tags.get(names.KIND) == names.STUDY_KIND)


def joined_parent(ours: Sequence[Run], theirs: Sequence[Run]) -> Run:
    """The study's own run after a merge.

    If one store's evaluations are all in the other, that one's run stands for both. Otherwise nobody has seen
    the union yet: every look of either counts and this one too, and neither verdict is that of the union.

    Args:
        ours: Runs of the first store, before the merge.
        theirs: Runs of the second.

    Returns:
        A run of either; its tags may differ from what was recorded.
    """
    mine, other = parent_of(ours), parent_of(theirs)
    looks = [int(run.tags.get(names.LOOKS, "0")) for run in (mine, other)]
    held = [{_key(run) for run in runs if _is_over(run)} for runs in (ours, theirs)]
    if held[0] == held[1]:
        return mine if looks[0] >= looks[1] else other
    if held[1] < held[0]:
        return mine
    if held[0] < held[1]:
        return other
    latest = max((mine, other), key=lambda run: int(run.tags.get(names.RESUMED, "0")))
    tags = {**latest.tags, names.LOOKS: str(sum(looks) + 1)}
    for stale in (names.SEEN, names.VERDICT_HASH):
        tags.pop(stale, None)
    return replace(latest, tags=tags)


def _local(run: Run, path: str) -> Path:
    found = local_artifact(run, path)
    if found is None:
        raise MissingArtifactError(f"{path} is not among the run's artifacts")
    return found


def _scratch() -> Path:
    """A folder for an unpacked study that lives as long as the process."""
    folder = tempfile.mkdtemp(prefix="candor-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
