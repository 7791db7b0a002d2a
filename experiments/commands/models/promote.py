"""`candor promote`: make the challenger champion."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.options import ModelName, TrackingUri, Workspace
from experiments.terminal import echo

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from search.models.registry.registry import Change

PANEL = "Models"


def command(
    name: ModelName,
    workspace: Workspace = Path("runs"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Make the challenger champion; `candor rollback` takes it back.

    Args:
        name: The registered model: the experiment's name.
        workspace: The folder that everything is written to.
        tracking_uri: MLflow's address; None for a file in the workspace.
    """
    from search.models.registry.registry import promote

    done = change(promote, name, workspace, tracking_uri)
    before = f"; version {done.before} was it until now" if done.before else ""
    echo(f"{name}: version {done.after} is champion{before}")


def change(
    move: "Callable[[MlflowClient, str], Change]", name: str, workspace: Path, tracking_uri: str | None
) -> "Change":
    """Move the alias "champion" of a registered model.

    Args:
        move: Promotes or rolls back.
        name: The registered model.
        workspace: The folder whose registry is meant where no address is given.
        tracking_uri: MLflow's address.

    Returns:
        Which version was champion before and which is now.
    """
    from search.models.registry.references import client_of
    from search.workspace import Workspace as Place

    return move(client_of(tracking_uri or Place(workspace.resolve()).tracking_uri), name)
