"""`candor rollback`: make the last champion champion again."""

from pathlib import Path

import typer

from experiments.options import ModelName, TrackingUri, Workspace

PANEL = "Models"


def command(
    name: ModelName,
    workspace: Workspace = Path("runs"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Make the last champion champion again; today's becomes challenger."""
    from search.models.registry.references import client_of
    from search.models.registry.registry import rollback
    from search.workspace import Workspace as Place

    done = rollback(client_of(tracking_uri or Place(workspace.resolve()).tracking_uri), name)
    after = f"; version {done.before} is challenger" if done.before else ""
    typer.echo(f"{name}: version {done.after} is champion again{after}")
