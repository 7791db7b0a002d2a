"""`candor worker`: work on a study with other machines."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.options import (
    Experiment,
    GpuShare,
    HubFile,
    Quiet,
    Settings,
    Workers,
    Workspace,
    read_experiment,
    run_study,
    servers,
    worker_count,
)
from spaces.errors import UserError

PANEL = "Studies"


def command(
    experiment: Experiment,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            envvar="CANDOR_STORAGE",
            help="postgresql+psycopg://USER@HOST/NAME; the password from PGPASSWORD or ~/.pgpass.",
            show_default=False,
        ),
    ] = None,
    tracking_uri: Annotated[
        str | None,
        typer.Option(
            "--tracking-uri", envvar="MLFLOW_TRACKING_URI", help="The MLflow server.", show_default=False
        ),
    ] = None,
    hub: HubFile = None,
    data: Annotated[
        str | None, typer.Option("--data", help="The study's images, as this machine finds them.")
    ] = None,
    workers: Workers = "auto",
    gpu_share: GpuShare = 1,
    grace: Annotated[
        int, typer.Option("--grace", min=4, help="Seconds of silence until a machine is thought lost.")
    ] = 120,
    workspace: Workspace = Path("runs"),
    settings: Settings = None,
    quiet: Quiet = False,
) -> None:
    """Work on a study with other machines: the same command on each of them, as many as there are.

    Args:
        experiment: A name from `candor list`, or the path of a TOML file.
        storage: Optuna's PostgreSQL address.
        data: A folder, zip, tar, csv or npz, kaggle:owner/name, or synthetic.
        grace: Seconds without a sign of life after which an evaluation is another worker's.
        workers: The number of evaluations at once, or auto.
        gpu_share: The number of evaluations that share one GPU.
        workspace: The folder that everything is written to.
        settings: Further keys of the experiment file, each as KEY=VALUE.
        quiet: Whether to print nothing but errors and the report's place.
        tracking_uri: MLflow's address, the same for every worker.
        hub: `hub.toml`, in place of the addresses of both servers.

    Raises:
        typer.Exit: With 130, if the study was stopped before it was over.
    """
    from experiments.workflows.study.context import RunContext
    from search.workspace import Workspace as Place

    storage, tracking_uri = servers(hub, storage, tracking_uri)
    if storage is None or tracking_uri is None:
        raise UserError(
            "a worker needs --hub hub.toml (`candor hub` writes it), or --storage and --tracking-uri"
        )
    if not storage.startswith("postgresql"):
        raise UserError("workers meet in PostgreSQL: --storage takes postgresql+psycopg://USER@HOST/NAME")
    count = worker_count(workers)
    config = read_experiment(experiment, {"data.source": data}, settings or [])
    place = Place.at(workspace)
    context = RunContext(place, count, storage, tracking_uri, gpu_share, grace, joins=True)
    run_study(config, context, workspace, quiet)
