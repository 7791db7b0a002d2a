"""`candor runs`: the studies of a workspace, with their sizes."""

from pathlib import Path

import typer

from experiments.options import TrackingUri, Workspace

PANEL = "Workspace"


def command(workspace: Workspace = Path("runs"), tracking_uri: TrackingUri = None) -> None:
    """List the studies, their state and what they take on disk.

    Args:
        workspace: The folder that everything is written to.
        tracking_uri: MLflow's address; None for a file in the workspace.
    """
    from rich.console import Console
    from rich.filesize import decimal
    from rich.table import Table

    from experiments.workflows.runs import size_of, stored_studies
    from reports.facts import date
    from search.workspace import Workspace as Place

    place = Place.view(workspace)
    stored = stored_studies(place, tracking_uri or place.tracking_uri)
    table = Table(box=None, header_style="bold", padding=(0, 1))
    for name in ("experiment", "study", "state", "began"):
        table.add_column(name, no_wrap=name != "experiment", overflow="fold")
    for name in ("evaluations", "on disk"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in stored:
        began = date(one.parent.started)[:10]
        counted = f"{one.evaluations:,}"
        table.add_row(one.experiment, one.study, one.state, began, counted, decimal(one.size))
    console = Console()
    console.print(table if stored else "No study yet.")
    databases = sum(size_of(file) for file in place.folder.glob("*.db*"))
    console.print(
        f"Images prepared for all studies: {decimal(size_of(place.cache))}; databases: {decimal(databases)}; "
        f"{place.folder} in all: {decimal(size_of(place.folder))}.",
        markup=False,
    )
    if stored:
        typer.echo("`candor rm STUDY` removes one everywhere.")
