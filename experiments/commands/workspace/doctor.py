"""`candor doctor`: look the workspace over."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.options import HubFile, Storage, TrackingUri, Workspace, servers

PANEL = "Workspace"


def command(
    workspace: Workspace = Path("runs"),
    storage: Storage = None,
    tracking_uri: TrackingUri = None,
    hub: HubFile = None,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended.")] = False,
) -> None:
    """Look the workspace over; exit code 1 if something is wrong and not mended.

    Args:
        workspace: The folder that everything is written to.
        storage: Optuna's PostgreSQL address; None for a file in the workspace.
        tracking_uri: MLflow's address; None for a file in the workspace.
        hub: `hub.toml`, in place of the addresses of both servers.
        fix: Whether to mend what can be mended.

    Raises:
        typer.Exit: With 1, if something is wrong and not mended.
    """
    from rich.console import Console
    from rich.text import Text

    from experiments.table_output import print_table
    from search.doctor import WRONG, examine
    from search.workspace import Workspace as Place

    colours = {"ok": "green", "note": "yellow", "wrong": "bold red", "mended": "cyan"}
    storage, tracking_uri = servers(hub, storage, tracking_uri)
    if not (storage or tracking_uri):
        Place.existing(workspace)
    folder = workspace.resolve()
    place = Place(folder) if folder.is_dir() else Place.at(workspace)  # it may be what is to be looked at
    findings = list(examine(place, storage, tracking_uri, fix))
    rows = [(one.subject, Text(one.verdict, style=colours[one.verdict]), one.detail) for one in findings]
    print_table(Console(), ("", "verdict", "found"), rows)
    if any(finding.verdict == WRONG for finding in findings):
        raise typer.Exit(1)
