"""`candor rm`: remove a study everywhere."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.options import Storage, TrackingUri, Workspace
from experiments.terminal import echo

PANEL = "Workspace"


def command(
    study: Annotated[str, typer.Argument(help="A study's id from `candor runs`, or its experiment's name.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    workspace: Workspace = Path("runs"),
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
) -> None:
    """Remove a study everywhere: runs, artifacts, registered models, trials, checkpoints, report.

    Args:
        study: The study's id, or the beginning of it.
        yes: Whether to remove without asking.
        workspace: The folder that everything is written to.
        storage: Optuna's PostgreSQL address; None for a file in the workspace.
        tracking_uri: MLflow's address; None for a file in the workspace.
    """
    from rich.filesize import decimal

    from experiments.workflows.records.rm import registered, remove, unused
    from experiments.workflows.records.runs import find_study, stored_studies
    from experiments.workflows.study.context import RunContext
    from search.workspace import Workspace as Place

    place = Place.at(workspace)
    context = RunContext(place, storage=storage, tracking_uri=tracking_uri)
    stored = find_study(study, stored_studies(place, context.tracking))
    with unused(stored, context) as open_storage:
        models = registered(stored, context.tracking)
        also = f", registered models: {', '.join(models)}" if models else ""
        echo(
            f"Study {stored.study} of {stored.experiment}: {stored.state}, "
            f"{stored.evaluations:,} evaluations, {decimal(stored.size)}{also}."
        )
        if not yes and not typer.confirm("Remove it for good?"):
            echo("Nothing was removed.")
            raise typer.Exit(1)
        remove(stored, context, open_storage, echo)
    echo(f"Removed. Prepared images stay in {place.cache}, for other studies.")
