"""Runs of an MLflow experiment, read through MLflow's public client: a server, a SQLite file, a folder."""

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from search.imports.curves import score_of
from search.imports.predictions import ImportedPredictions, read_predictions
from search.imports.request import Request
from search.imports.table import Curves, Table, cell
from search.safety.paths import file_name
from search.safety.secrets import masked, masked_address
from search.sqlite_files import reading, sqlite_path
from search.tracking import names
from search.tracking.client import open_client
from spaces.errors import UnavailableError, UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

FORM: Final = "mlflow:EXPERIMENT"
_PREFIX: Final = "mlflow:"
_MAXIMISED: Final = "`value` is to be maximised: taken for validation accuracy"
_PAGE: Final = 500
_RUN_NAME: Final = "run name"
#: MLflow's status to the state of an evaluation; what still runs is left out.
_STATES: Final = {"FAILED": names.FAILED, "KILLED": names.PRUNED}
#: The same of the tag `state`: Optuna's callback ends the runs of pruned trials as FINISHED, with a metric.
_OPTUNA_STATES: Final = {"FAIL": names.FAILED, "PRUNED": names.PRUNED}
#: Tags that Optuna's callback writes into each run.
_OPTUNA_TAGS: Final = frozenset({"number", "state", "direction", "datetime_start"})
#: What mlflow.autolog records of the fit itself: not what a person would call a setting.
_AUTOLOG: Final = frozenset({
    "validation_split", "shuffle", "class_weight", "sample_weight", "initial_epoch", "steps_per_epoch",
    "validation_steps", "validation_batch_size", "validation_freq", "max_queue_size", "workers",
    "use_multiprocessing",
})  # fmt: skip
#: Keras numbers the optimizers of a process: "adam_5" is "adam".
_COUNTED: Final = ("optimizer_name", "opt_name")


def accepts(source: str) -> bool:
    """Whether the source names an MLflow experiment.

    Args:
        source: What the person typed.
    """
    return source.startswith(_PREFIX)


def read(source: str, request: Request) -> Table:
    """Read the active runs of an experiment; parent runs without a metric are left out.

    Args:
        source: "mlflow:" and the experiment's name or id.
        request: `tracking_uri` is the server, `curve` the metrics whose history is wanted, `predictions` an
            artifact's path.

    Raises:
        UserError: There is no such experiment, it is empty, or the server does not answer.
    """
    wanted = source.removeprefix(_PREFIX)
    address = request.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    if not address:
        raise UserError(f"{source}: name MLflow's address with --tracking-uri http://HOST:PORT")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "120")  # a server takes its time for a page of runs
    try:
        client = _client(address)
        name, runs = _runs(client, wanted, masked_address(address), request)
        return _table(client, name, runs, masked_address(address), request)
    except UserError:
        raise
    except UnavailableError as error:
        raise UserError(str(error)) from error
    except Exception as error:  # each store of MLflow raises its own kind
        text = " ".join(str(error).split()).partition(" (Caused by")[0][:200]
        raise UserError(f"MLflow at {masked_address(address)} cannot be read: {masked(text)}") from error


def _client(address: str) -> "MlflowClient":
    database = sqlite_path(address)
    if database is not None and database.is_file():
        with reading(database) as connection:  # MLflow would make its tables in a file of another program
            known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchall()
        if not known:
            raise UserError(f"{database} is no store of MLflow")
    elif database is not None:
        raise UserError(f"there is no file {database}")
    folder = Path(address.removeprefix("file://"))
    if "://" not in address.removeprefix("file://") and folder.is_dir():
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"  # to read what MLflow no longer writes
        from mlflow import MlflowClient

        return MlflowClient(folder.absolute().as_uri())
    return open_client(address)


def _runs(client: "MlflowClient", wanted: str, address: str, request: Request) -> "tuple[str, list[Run]]":
    experiment = client.get_experiment_by_name(wanted)
    if experiment is None and wanted.isdecimal():
        experiment = next((one for one in client.search_experiments() if one.experiment_id == wanted), None)
    if experiment is None:
        known = ", ".join(sorted(one.name for one in client.search_experiments()))
        raise UserError(f"MLflow at {address} has no experiment {wanted}; it has {known[:400]}")
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs(
            [experiment.experiment_id],
            max_results=_PAGE,
            page_token=token,
            order_by=["attributes.start_time ASC"],
        )
        found += page
        token = page.token
        if not token:
            break
        request.progress(f"{len(found):,} runs read")
    return str(experiment.name), found


def _table(client: "MlflowClient", name: str, runs: "Sequence[Run]", address: str, request: Request) -> Table:
    parents = {run.data.tags.get("mlflow.parentRunId") for run in runs}
    over = [run for run in runs if run.info.status not in ("RUNNING", "SCHEDULED")]
    kept = [run for run in over if run.data.metrics or run.info.run_id not in parents]
    if not kept:
        what = "no run that is over" if runs else "no run"
        raise UserError(f"the experiment {name} at {address} has {what}")
    settings = _ordered(run.data.params for run in kept)
    metrics = _ordered(run.data.metrics for run in kept)
    tags = [tag for tag in _ordered(run.data.tags for run in kept) if not tag.startswith("mlflow.")]
    maximised = all(run.data.tags.get("direction") == "MAXIMIZE" for run in kept if _is_trial(run))
    value = (
        "val_accuracy" if maximised and any(map(_is_trial, kept)) and not {*metrics} - {"value"} else "value"
    )
    heading = {
        **{("param", one): f"params.{one}" if one in metrics else one for one in settings},
        **{("metric", one): value if one == "value" else one for one in metrics},
        **{("tag", one): f"tags.{one}" if one in settings or one in metrics else one for one in tags},
    }
    columns = tuple(dict.fromkeys([_RUN_NAME, *heading.values()]))
    blank = dict.fromkeys(columns, "")
    rows = tuple({**blank, **dict(_cells(run, heading))} for run in kept)
    varying = {heading["param", one] for one in settings if one not in _AUTOLOG}
    places = tuple(f"run {run.info.run_id[:8]}" for run in kept)
    predictions = dict(_predictions(client, kept, places, request))
    ends = {number: end for number, run in enumerate(kept) if (end := _end(run))}
    return Table(
        source=f"mlflow:{name}",
        address=f"mlflow:{name} at {address}",
        name=file_name(name).replace(".", "_"),
        columns=columns,
        rows=rows,
        places=places,
        settings=frozenset(varying or {_RUN_NAME}),
        bare="train",
        states={number: state for number, (state, _) in ends.items()},
        reasons={number: reason for number, (_, reason) in ends.items()},
        curves=dict(_curves(client, kept, metrics, request)),
        predictions=predictions,
        guess=(*_guess(runs, over, kept), *([_MAXIMISED] if value != "value" else ())),
        findings=tuple(_findings(kept)),
    )


def _is_trial(run: "Run") -> bool:
    """Whether Optuna's callback wrote the run."""
    return bool(run.data.tags.keys() >= _OPTUNA_TAGS)


def _end(run: "Run") -> tuple[str, str] | None:
    """The state of a run that is not complete, and what says so."""
    if run.info.status in _STATES:
        return _STATES[run.info.status], f"MLflow's status is {run.info.status}"
    state = run.data.tags.get("state", "")
    if _is_trial(run) and state in _OPTUNA_STATES:
        return _OPTUNA_STATES[state], f"Optuna's state is {state}"
    return None


def _ordered(held: Any) -> list[str]:
    return sorted({name for one in held for name in one})


def _cells(run: "Run", heading: Any) -> Iterator[tuple[str, str]]:
    yield _RUN_NAME, run.info.run_name or ""
    for param, value in run.data.params.items():
        plain = re.sub(r"_\d+$", "", value) if param in _COUNTED else value
        yield heading["param", param], plain.strip()
    for metric, number in run.data.metrics.items():
        yield heading["metric", metric], cell(float(number))
    for tag, value in run.data.tags.items():
        if ("tag", tag) in heading:
            yield heading["tag", tag], value.strip()


def _curves(
    client: "MlflowClient", runs: "Sequence[Run]", metrics: Sequence[str], request: Request
) -> Iterator[tuple[int, Curves]]:
    """Histories of the metrics that are asked for: one call to the server for each run and metric."""
    wanted = [one.strip() for one in (request.curve or "").split(",") if one.strip()]
    for metric in wanted:
        if metric not in metrics or score_of(metric) is None:
            known = ", ".join(one for one in metrics if score_of(one))
            raise UserError(f'no run has a metric "{metric}" by epoch; --curve takes {known}')
    for number, run in enumerate(runs):
        points = {
            score_of(metric): client.get_metric_history(run.info.run_id, metric)
            for metric in wanted
            if metric in run.data.metrics
        }
        first = min((point.step for held in points.values() for point in held), default=0)
        if points:
            yield (
                number,
                {
                    str(score): tuple(sorted({point.step - first + 1: point.value for point in held}.items()))
                    for score, held in points.items()
                },
            )
        if wanted and number % 100 == 99:
            request.progress(f"histories of {number + 1:,} runs read")


def _predictions(
    client: "MlflowClient", runs: "Sequence[Run]", places: Sequence[str], request: Request
) -> Iterator[tuple[int, ImportedPredictions]]:
    """The artifact of each run that has it. Raises UserError where none has."""
    if not request.predictions:
        return
    labels, found = Path(request.labels) if request.labels else None, 0
    for number, run in enumerate(runs):
        with tempfile.TemporaryDirectory(prefix="candor-") as folder:
            try:
                path = Path(client.download_artifacts(run.info.run_id, request.predictions, folder))
            except Exception:  # noqa: S112  every artifact store raises its own kind: this run has none
                continue
            try:
                yield number, read_predictions(path, labels)
            except UserError as error:
                shown = str(error).replace(str(path), request.predictions)
                raise UserError(f"{places[number]}: {shown}") from error
            found += 1
        request.progress(f"predictions of {number + 1:,} runs read")
    if not found:
        raise UserError(f"no run has the artifact {request.predictions}: see the artifacts in MLflow's UI")


def _guess(runs: "Sequence[Run]", over: "Sequence[Run]", kept: "Sequence[Run]") -> Iterator[str]:
    if len(over) < len(runs):
        yield f"{len(runs) - len(over)} runs are not over and are left out: import again later"
    if len(kept) < len(over):
        yield f"{len(over) - len(kept)} parent runs without a metric are left out"


def _findings(kept: "Sequence[Run]") -> Iterator[str]:
    restored = sum(
        run.data.params.get("restore_best_weights", "").lower() == "true"
        and run.data.params.get("monitor", "").startswith("val")
        for run in kept
    )
    if restored:
        yield (
            f"early stopping chose the epoch on the validation split in {restored} of {len(kept)} runs, "
            "which "
            "is the split that is reported: their scores are optimistic"
        )
