"""`candor search`: run the study of an experiment, or go on with it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.options import (
    Experiment,
    GpuShare,
    Quiet,
    Settings,
    Storage,
    TrackingUri,
    Workers,
    Workspace,
    read_experiment,
    run_study,
    worker_count,
)

if TYPE_CHECKING:
    from experiments.schema.experiment import ExperimentConfig
    from experiments.workflows.study.context import RunContext

PANEL = "Studies"


def command(
    experiment: Experiment,
    data: Annotated[
        str | None,
        typer.Option("--data", help="A folder, zip, tar, csv or npz, kaggle:owner/name, or synthetic."),
    ] = None,
    trials: Annotated[
        int | None, typer.Option("--trials", help="Trials of explore: a total, not an addition.")
    ] = None,
    workers: Workers = "auto",
    gpu_share: GpuShare = 1,
    seeds: Annotated[
        int | None, typer.Option("--seeds", help="Seeds of confirm, for each leader or cell.")
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Epochs of an evaluation, at most.")] = None,
    hours: Annotated[float | None, typer.Option("--hours", help="A budget for the whole study.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would run and how long it takes; run nothing.")
    ] = False,
    workspace: Workspace = Path("runs"),
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    settings: Settings = None,
    quiet: Quiet = False,
) -> None:
    """Run the study of an experiment, or go on with it.

    Args:
        experiment: A name from `candor list`, or the path of a TOML file.
        data: A folder, zip, tar, csv or npz, kaggle:owner/name, or synthetic.
        trials: The number of trials of explore, in total.
        seeds: The number of confirm seeds for each leader or cell.
        epochs: The largest number of epochs of an evaluation.
        hours: A time budget for the whole study, in hours.
        dry_run: Whether to show what would run, and to run nothing.
        storage: Optuna's PostgreSQL address; None for a file in the workspace.
        workers: The number of evaluations at once, or auto.
        gpu_share: The number of evaluations that share one GPU.
        workspace: The folder that everything is written to.
        tracking_uri: MLflow's address; None for a file in the workspace.
        settings: Further keys of the experiment file, each as KEY=VALUE.
        quiet: Whether to print nothing but errors and the report's place.

    Raises:
        typer.Exit: With 130, if the study was stopped before it was over.
    """
    count = worker_count(workers)
    options = {
        "data.source": data,
        "protocol.trials": trials,
        "protocol.seeds": seeds,
        "protocol.epochs": epochs,
        "protocol.hours": hours,
    }
    config = read_experiment(experiment, options, settings or [])
    from experiments.workflows.study.context import RunContext
    from search.workspace import Workspace as Place

    context = RunContext(Place.at(workspace), count, storage, tracking_uri, gpu_share)
    if dry_run:
        _show(config, context, quiet)
    else:
        run_study(config, context, workspace, quiet)


def _show(config: "ExperimentConfig", context: "RunContext", quiet: bool) -> None:
    from rich.console import Console

    from experiments.workflows.console.progress import Progress
    from experiments.workflows.study.dry_run import dry_run

    dry_run(config, context, Progress(Console(), quiet).say)
