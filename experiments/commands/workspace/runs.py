"""`candor runs`: the studies of a workspace, with their sizes."""

from pathlib import Path

from experiments.options import TrackingUri, Workspace
from experiments.terminal import echo

PANEL = "Workspace"


def command(workspace: Workspace = Path("runs"), tracking_uri: TrackingUri = None) -> None:
    """List the studies, their state and what they take on disk.

    Args:
        workspace: The folder that everything is written to.
        tracking_uri: MLflow's address; None for a file in the workspace.
    """
    from rich.console import Console
    from rich.filesize import decimal

    from experiments.table_output import print_table
    from experiments.workflows.records.runs import size_of, stored_studies
    from reports.facts import date
    from search.workspace import Workspace as Place
    from search.workspace import option

    if not tracking_uri:
        Place.existing(workspace)
    place = Place.view(workspace)
    stored = stored_studies(place, tracking_uri or place.tracking_uri)
    head = ("experiment", "study", "state", "began", "evaluations", "on disk")
    rows = [
        (
            one.experiment,
            one.study,
            one.state,
            date(one.parent.started)[:10],
            f"{one.evaluations:,}",
            decimal(one.size),
        )
        for one in stored
    ]
    console = Console()
    if stored:
        print_table(console, head, rows, right=("evaluations", "on disk"))
    else:
        console.print("No study yet.")
    databases = sum(size_of(file) for file in place.folder.glob("*.db*"))
    console.print(
        f"Images prepared for all studies: {decimal(size_of(place.cache))}; databases: {decimal(databases)}; "
        f"{place.folder} in all: {decimal(size_of(place.folder))}.",
        markup=False,
    )
    if stored:
        echo(f"`candor rm STUDY{option(workspace)}` removes one everywhere.")
