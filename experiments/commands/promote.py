"""`candor promote`: make the challenger champion."""

from pathlib import Path

import typer

from experiments.options import ModelName, TrackingUri, Workspace

PANEL = "Models"


def command(
    name: ModelName,
    workspace: Workspace = Path("runs"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Make the challenger champion; `candor rollback` takes it back."""
    from search.models.registry.references import client_of
    from search.models.registry.registry import promote
    from search.workspace import Workspace as Place

    done = promote(client_of(tracking_uri or Place(workspace.resolve()).tracking_uri), name)
    before = f"; version {done.before} was it until now" if done.before else ""
    typer.echo(f"{name}: version {done.after} is champion{before}")
