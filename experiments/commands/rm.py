"""`candor rm`: remove a study everywhere."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.options import Storage, TrackingUri, Workspace

PANEL = "Workspace"


def command(
    study: Annotated[str, typer.Argument(help="A study's id from `candor runs`, or its experiment's name.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    workspace: Workspace = Path("runs"),
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
) -> None:
    """Remove a study everywhere: runs, artifacts, registered models, trials, checkpoints, report."""
    from rich.filesize import decimal

    from experiments.workflows.context import Means
    from experiments.workflows.rm import registered, remove, unused
    from experiments.workflows.runs import find_study, holdings
    from search.workspace import Workspace as Place

    place = Place.at(workspace)
    means = Means(place, storage=storage, tracking_uri=tracking_uri)
    held = find_study(study, holdings(place, means.tracking))
    with unused(held, means) as open_storage:
        models = registered(held, means.tracking)
        also = f", registered models: {', '.join(models)}" if models else ""
        typer.echo(
            f"Study {held.study} of {held.experiment}: {held.state}, {held.evaluations:,} evaluations, "
            f"{decimal(held.size)}{also}."
        )
        if not yes and not typer.confirm("Remove it for good?"):
            typer.echo("Nothing was removed.")
            raise typer.Exit(1)
        remove(held, means, open_storage, typer.echo)
    typer.echo(f"Removed. Prepared images stay in {place.cache}, for other studies.")
