"""`candor pack`: a study in one file."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.options import Storage, TrackingUri, Workspace
from experiments.terminal import echo

PANEL = "Studies"


def command(
    study: Annotated[str, typer.Argument(help="A study's id from `candor runs`, or its experiment's name.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file. Default: EXPERIMENT.study.zip here.")
    ] = None,
    models: Annotated[bool, typer.Option("--models", help="Pack the kept models, too.")] = False,
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints", help="Pack the state of evaluations that are not over.")
    ] = False,
    pictures: Annotated[
        bool,
        typer.Option(
            "--pictures/--no-pictures",
            help="Pack what shows images of the data set: galleries and the audit's page.",
        ),
    ] = True,
    workspace: Workspace = Path("runs"),
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
) -> None:
    """Pack a study into one file, for another machine, a colleague or a paper.

    Args:
        study: The study's id, or its experiment's name.
        out: The file; None for EXPERIMENT.study.zip in the current folder.
        models: Whether to pack the kept models.
        checkpoints: Whether to pack the state of evaluations that are not over.
        pictures: Whether to pack what shows images of the data set.
        workspace: The folder that everything is written to.
        storage: Optuna's PostgreSQL address; None for a file in the workspace.
        tracking_uri: MLflow's address; None for a file in the workspace.
    """
    from rich.filesize import decimal

    from experiments.workflows.records.pack import pack
    from experiments.workflows.records.runs import find_study, stored_studies
    from experiments.workflows.study.context import RunContext
    from search.workspace import Workspace as Place

    place = Place.at(workspace)
    context = RunContext(place, storage=storage, tracking_uri=tracking_uri)
    stored = find_study(study, stored_studies(place, context.tracking))
    file = pack(stored, context, out, models=models, checkpoints=checkpoints, pictures=pictures, say=echo)
    echo(
        f"Study {stored.study} of {stored.experiment}: {stored.evaluations:,} evaluations, "
        f"{decimal(file.stat().st_size)}."
    )
    echo(f"Packed: {file}")
