"""The functions of `candor`: plain arguments in, the work of the command line behind them.

Libraries that take seconds to import are imported when a function runs.
"""

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from candor._result import SearchResult, result_of
from experiments.failures import passing_reason
from experiments.options import checked_storage, checked_tracking_uri, remarks
from spaces.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from experiments.schema.experiment import ExperimentConfig
    from reports.records.study import StudyRecords
    from search.models.batches import LabelledPicture


def search(
    experiment: str | Path | Mapping[str, Any],
    *,
    data: str | Path | None = None,
    trials: int | None = None,
    seeds: int | None = None,
    epochs: int | None = None,
    hours: float | None = None,
    overrides: Mapping[str, Any] | None = None,
    workers: int | None = None,
    gpu_share: int = 1,
    workspace: str | Path | None = None,
    storage: str | None = None,
    tracking_uri: str | None = None,
    quiet: bool = False,
) -> SearchResult:
    """Run the study of an experiment, or continue it. The same call again repeats nothing.

    Interrupting the call (Ctrl-C, or the stop button of a notebook) ends it after the current epochs; the
    next call continues.

    Args:
        experiment: a name from `candor list`, the path of a TOML file, or the content of such a file as a
            mapping, with the key "name".
        data: labelled images: a folder, zip, tar, csv or npz, "kaggle:owner/name" or "synthetic"; None for
            the experiment's own.
        trials: the number of trials of explore, in total.
        seeds: the number of confirm seeds for each leader or grid cell.
        epochs: the largest number of epochs of an evaluation.
        hours: a time budget for the whole study, in hours.
        overrides: other values at dotted keys of the experiment file, such as {"protocol.pruner": "none"}.
        workers: the number of evaluations at once, 1 or more; None for one per GPU, or as measured on
            the CPU.
        gpu_share: the number of evaluations that share one GPU, 1 or more.
        workspace: the folder that everything is written to; None for $CANDOR_WORKSPACE, else "runs".
        storage: the address of a PostgreSQL server for Optuna; None for $CANDOR_STORAGE, else a file in
            the workspace.
        tracking_uri: MLflow's address; None for $MLFLOW_TRACKING_URI, else a file in the workspace.
        quiet: whether to show no progress.

    Returns:
        The study's state at the end of the call: verdict, table and place of the report.

    Raises:
        UserError: for a mistake in the arguments, the experiment or the data, and where the study cannot
            continue for now (a full disk, a server that does not answer). What is finished is kept.
    """
    for name, number in (("workers", workers), ("gpu_share", gpu_share)):
        if number is not None and (not isinstance(number, int) or isinstance(number, bool) or number < 1):
            raise UserError(f"{name} must be a whole number, 1 or more. Received: {number!r}")
    plain = {
        "data.source": None if data is None else os.fspath(data),
        "protocol.trials": trials,
        "protocol.seeds": seeds,
        "protocol.epochs": epochs,
        "protocol.hours": hours,
    }
    config = _experiment(
        experiment, {key: value for key, value in plain.items() if value is not None}, overrides
    )
    from rich.console import Console

    with _without_warnings_of_imports():
        from experiments.workflows.study import search as workflow
    from experiments.workflows.console.progress import Progress
    from experiments.workflows.study.context import RunContext
    from search.workspace import Workspace

    place = Workspace.at(_folder(workspace))
    context = RunContext(
        place,
        workers,
        checked_storage(storage or os.environ.get("CANDOR_STORAGE") or None),
        _given_tracking_uri(tracking_uri),
        gpu_share,
    )
    try:
        finished = workflow.search(config, context, Progress(Console(), quiet))
    except UserError:
        raise
    except Exception as error:
        reason = passing_reason(error)
        if not reason:
            raise
        raise UserError(f"{reason}. Everything finished is kept; the same call continues.") from error
    return result_of(finished, config.name, context.tracking, tuple(remarks(finished, place.folder)))


def report(
    experiments: str | Path | Sequence[str | Path] = (),
    *,
    workspace: str | Path | None = None,
    tracking_uri: str | None = None,
    out: str | Path | None = None,
    ui_url: str | None = None,
) -> Path:
    """Write every table and figure of experiments from what MLflow holds.

    Args:
        experiments: one experiment or several, by name or by the path of the TOML file; none for all
            that have a study.
        workspace: the folder that the studies were written to; None for $CANDOR_WORKSPACE, else "runs".
        tracking_uri: MLflow's address; None for $MLFLOW_TRACKING_URI, else a file in the workspace.
        out: the folder to write to; None for `reports` in the workspace.
        ui_url: the address of an MLflow UI; numbers then link to their runs.

    Returns:
        The page to open: of the one experiment, or the index of several.

    Raises:
        UserError: if an experiment has no study.
    """
    import reports
    from experiments.schema.experiment_name import name_of

    several = [experiments] if isinstance(experiments, str | Path) else list(experiments)
    place = _existing(workspace)
    target = place.reports if out is None else Path(out)
    page: Path = reports.build(
        [name_of(os.fspath(one)) for one in several], _tracking(place, tracking_uri), target, ui_url=ui_url
    )
    return page


def load_study(
    experiment: str | Path,
    *,
    study: str | None = None,
    workspace: str | Path | None = None,
    tracking_uri: str | None = None,
) -> "StudyRecords":
    """Read what MLflow holds of a study, as pandas frames. docs/reports.md describes them.

    Args:
        experiment: the experiment, by name or by the path of its TOML file.
        study: the study's id; None for the newest study.
        workspace: the folder that the study was written to; None for $CANDOR_WORKSPACE, else "runs".
        tracking_uri: MLflow's address; None for $MLFLOW_TRACKING_URI, else a file in the workspace.

    Returns:
        The study's records: `evaluations` has one row for each evaluation, `history` one for each epoch, and
        `predictions(run_id)` the probabilities, float32 (images, classes).

    Raises:
        UserError: if there is no such study.
    """
    from experiments.schema.experiment_name import name_of
    from reports.records import study as records

    place = _existing(workspace)
    return records.load_study(name_of(os.fspath(experiment)), _tracking(place, tracking_uri), study)


def predict(
    images: Any,
    *,
    model: str = "champion",
    faces: bool = False,
    classes: Sequence[str] | None = None,
    workspace: str | Path | None = None,
    tracking_uri: str | None = None,
) -> "pd.DataFrame":
    """Label images with a trained model. Imports Keras into this process.

    Args:
        images: a path, a folder or a glob, the bytes of an image file, a Pillow image, a uint8 array of shape
            (height, width), (height, width, 1 or 3) or (images, height, width, 1 or 3), or a list of these.
        model: "champion", "NAME@alias", the id of a run, or the path of a `.keras` file.
        faces: whether to find faces in each image, and to label each face.
        classes: names of the classes of a `.keras` file, in the order of the network's outputs.
        workspace: the folder that the study was written to; None for $CANDOR_WORKSPACE, else "runs".
        tracking_uri: MLflow's address; None for $MLFLOW_TRACKING_URI, else a file in the workspace.

    Returns:
        One row for each image or face: `picture`, with `faces` also `left`, `top` and `side` in pixels,
        `label`, `confidence` in [0, 1], and one column of probabilities for each class.

    Raises:
        UserError: if the model or one of the images cannot be used.
    """
    import pandas as pd

    from experiments.workflows.console.quiet import without_chatter
    from search.models.batches import label_pictures
    from search.models.classifier import Labels
    from search.models.registry.references import open_model
    from search.workspace import Workspace

    pictures = list(_pictures(images))
    place = Workspace(_folder(workspace).resolve())
    with without_chatter():
        classifier = open_model(
            model, _tracking(place, tracking_uri), Labels(tuple(classes)) if classes else None
        )
    box = ["left", "top", "side"] if faces else []
    rows = [row for one in label_pictures(classifier, pictures, faces) for row in _rows(one, box)]
    return pd.DataFrame(
        rows, columns=["picture", *box, "label", "confidence", *classifier.labels.class_names]
    )


@contextmanager
def _without_warnings_of_imports() -> Iterator[None]:
    """Keep Optuna's wish for notebook widgets and MLflow's news of its tables from the user."""
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="IProgress not found")
        yield


def _rows(labelled: "LabelledPicture", box: Sequence[str]) -> list[list[Any]]:
    if labelled.mistake:
        raise UserError(labelled.mistake)
    return [
        [
            labelled.picture.name,
            *(getattr(region.face, name) for name in box),
            region.prediction.label,
            region.prediction.confidence,
            *region.prediction.probabilities.values(),
        ]
        for region in labelled.regions
    ]


def _pictures(images: Any) -> Iterable[Any]:
    """The pictures that a caller context; paths, folders and globs are looked up."""
    import numpy as np

    from search.models.images import Picture, gather

    if isinstance(images, str | Path):
        yield from gather([os.fspath(images)])
    elif isinstance(images, np.ndarray) and images.ndim == 4:
        for number, image in enumerate(images):
            yield Picture(f"image {number}", Picture.of(image).raw)
    elif isinstance(images, list | tuple):
        for number, image in enumerate(images):
            if isinstance(image, str | Path):
                yield from gather([os.fspath(image)])
            else:
                yield Picture(f"image {number}", Picture.of(image).raw)
    else:
        yield Picture.of(images)


def _experiment(
    experiment: str | Path | Mapping[str, Any], plain: Mapping[str, Any], overrides: Mapping[str, Any] | None
) -> "ExperimentConfig":
    from experiments.schema.experiment import ExperimentConfig

    config = (
        ExperimentConfig.parse(experiment, "experiment")
        if isinstance(experiment, Mapping)
        else ExperimentConfig.load(experiment)
    )
    changes = {**plain, **(overrides or {})}
    return config.override(changes, "candor.search") if changes else config


def _folder(workspace: str | Path | None) -> Path:
    return Path(workspace or os.environ.get("CANDOR_WORKSPACE") or "runs")


def _existing(workspace: str | Path | None) -> Any:
    """The workspace, not created where it is missing."""
    from search.workspace import Workspace

    return Workspace(_folder(workspace).resolve())


def _given_tracking_uri(tracking_uri: str | None) -> str | None:
    return checked_tracking_uri(tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or None)


def _tracking(place: Any, tracking_uri: str | None) -> str:
    return _given_tracking_uri(tracking_uri) or str(place.tracking_uri)
