"""What several commands share: their options, and what they say at the end."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from experiments.terminal import echo
from search.safety.secrets import masked_address, remember
from spaces.errors import UserError

if TYPE_CHECKING:
    from experiments.schema.experiment import ExperimentConfig
    from experiments.workflows.study.context import RunContext
    from experiments.workflows.study.search import Finished

#: Processes of one machine; each takes a third of a gigabyte at least.
MOST_WORKERS = 1024
Experiment = Annotated[
    str,
    typer.Argument(
        help="A name from `candor list`, or the path of a TOML file of your own.", show_default=False
    ),
]
Workspace = Annotated[
    Path,
    typer.Option("--workspace", envvar="CANDOR_WORKSPACE", help="The folder that everything is written to."),
]


def checked_tracking_uri(tracking_uri: str | None) -> str | None:
    """MLflow's address as it was given. Raises UserError for what MLflow would take for a plugin's name."""
    remember(tracking_uri)
    if tracking_uri and not re.match(r"[\w+.-]+:/|databricks|uc$", tracking_uri):
        raise UserError(
            f"--tracking-uri takes an address, http://127.0.0.1:5000 for instance. "
            f"Received: {masked_address(tracking_uri)}"
        )
    return tracking_uri


def checked_storage(url: str | None) -> str | None:
    """Raises UserError for what SQLAlchemy cannot take apart."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    remember(url)
    try:
        if url:
            make_url(url)
    except (ArgumentError, ValueError):
        raise UserError(
            "--storage takes postgresql+psycopg://USER@HOST:PORT/NAME; signs such as @ and / in a password "
            "are written %40 and %2F. "
            f"Received: {masked_address(url or '')}"
        ) from None
    return url


TrackingUri = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        envvar="MLFLOW_TRACKING_URI",
        callback=checked_tracking_uri,
        help="MLflow. Default: a file in the workspace.",
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        envvar="CANDOR_STORAGE",
        callback=checked_storage,
        help="Optuna's storage. Default: a file in the workspace.",
    ),
]
HubFile = Annotated[
    Path | None,
    typer.Option(
        "--hub",
        envvar="CANDOR_HUB",
        help="hub.toml of `candor hub`, in place of --storage and --tracking-uri.",
        show_default=False,
    ),
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key of the experiment file.")
]
Workers = Annotated[
    str,
    typer.Option(
        "--workers", metavar="N|auto", help="Evaluations at once. auto: a GPU each, or as measured."
    ),
]
GpuShare = Annotated[int, typer.Option("--gpu-share", min=1, help="Evaluations on one GPU.")]
ModelReference = Annotated[
    str,
    typer.Option("--model", help="champion, NAME@alias, the id of a run, or a .keras file."),
]
ModelName = Annotated[
    str,
    typer.Argument(metavar="NAME", help="A registered model: the experiment's name.", show_default=False),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files there that Candor did not write.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors and where the report is.")]


def servers(
    hub: Path | None, storage: str | None = None, tracking_uri: str | None = None
) -> tuple[str | None, str | None]:
    """Take the addresses of a hub where its file is given, and log in to it.

    Args:
        hub: `hub.toml`, or the workspace that holds it.
        storage: what `--storage` says; it goes before the hub's.
        tracking_uri: what `--tracking-uri` says; the same.

    Returns:
        Optuna's storage and MLflow's address; None for the workspace's own.

    Raises:
        UserError: where the file cannot be read, or others can.
    """
    if hub is None:
        return storage, tracking_uri
    import os

    from search.hub.address import Hub

    found = Hub.read(hub)
    found.log_in(os.environ)
    return storage or found.storage, tracking_uri or found.tracking_uri


def worker_count(workers: str) -> int | None:
    """How many workers were asked for; None: as many as the machine is good for."""
    if workers == "auto":
        return None
    if not (workers.isdecimal() and len(workers) < 6 and 0 < int(workers) <= MOST_WORKERS):
        raise UserError(
            f'--workers takes a number from 1 to {MOST_WORKERS:,} or auto. Received: "{workers[:20]}"'
        )
    return int(workers)


def read_experiment(experiment: str, options: dict[str, Any], settings: list[str]) -> "ExperimentConfig":
    """The experiment with what the command line changes in it."""
    from experiments.schema.experiment import ExperimentConfig, parse_setting

    config = ExperimentConfig.load(experiment)
    changes = {key: value for key, value in options.items() if value is not None}
    changes |= dict(parse_setting(text) for text in settings)
    return config.override(changes) if changes else config


def run_study(config: "ExperimentConfig", context: "RunContext", workspace: Path, quiet: bool) -> None:
    """Run the study of an experiment, or join it, and say what came out.

    Args:
        config: The experiment, with what the command line changes in it.
        context: Where and with what it runs.
        workspace: The workspace's folder as it was typed, for the sentences that name it.
        quiet: Whether progress is kept from the terminal.

    Raises:
        typer.Exit: With 130, where the study was stopped before it was over; with 1, where it came to no
            verdict or MLflow lacks some of its records.
    """
    from rich.console import Console

    from experiments.workflows.console.progress import Progress
    from experiments.workflows.study import search

    finished = search.search(config, context, Progress(Console(), quiet))
    _tell(finished, workspace, context.tracking_uri)
    if not finished.over:
        raise typer.Exit(130)
    if not finished.concluded or finished.waiting or finished.refused:
        raise typer.Exit(1)


def remarks(finished: "Finished", workspace: Path) -> Iterator[str]:
    """What is not as it should be at the end of a search, a sentence each."""
    if not finished.over:
        yield "Stopped. The same command goes on where this one ended."
    if finished.waiting:
        yield (
            f"{finished.waiting} records wait for MLflow ({finished.trouble}); they are kept in "
            f"{workspace / 'spool'} and sent by the next search."
        )
    if finished.refused:
        yield (
            f"MLflow refused {finished.refused} records; they lie, with the reasons, under "
            f"{workspace / 'spool'}, and `candor doctor --fix` sends them again."
        )


def _tell(finished: "Finished", workspace: Path, tracking_uri: str | None) -> None:
    """Say what came out, where it is, and how to go on."""
    for sentence in (*finished.sentences, *remarks(finished, workspace)):
        echo(sentence)
    if finished.report is not None:
        echo(f"Report: {finished.report}")
    place = "" if str(workspace) == "runs" else f" WORKSPACE={workspace}"
    shown = f"make ui{place} shows every run, and says at which address"
    echo(f"MLflow: {masked_address(tracking_uri) if tracking_uri else shown}")
