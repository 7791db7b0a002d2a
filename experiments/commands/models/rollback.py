"""`candor rollback`: make the last champion champion again."""

from pathlib import Path

from experiments.commands.models.promote import PANEL, change
from experiments.options import ModelName, TrackingUri, Workspace
from experiments.terminal import echo

__all__ = ["PANEL", "command"]


def command(
    name: ModelName,
    workspace: Workspace = Path("runs"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Make the last champion champion again; today's becomes challenger.

    Args:
        name: The registered model: the experiment's name.
        workspace: The folder that everything is written to.
        tracking_uri: MLflow's address; None for a file in the workspace.
    """
    from search.models.registry.registry import rollback

    done = change(rollback, name, workspace, tracking_uri)
    after = f"; version {done.before} is challenger" if done.before else ""
    echo(f"{name}: version {done.after} is champion again{after}")
