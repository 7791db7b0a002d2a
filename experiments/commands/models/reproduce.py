"""`candor reproduce`: train a recorded evaluation again, and compare."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.options import TrackingUri, Workspace
from experiments.terminal import echo

PANEL = "Models"


def command(
    run: Annotated[
        str, typer.Argument(help="A run id from the report or MLflow, or an evaluation's candor.key.")
    ],
    data: Annotated[
        str | None, typer.Option("--data", help="Where the study's images lie now. Default: as recorded.")
    ] = None,
    workspace: Workspace = Path("runs"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Train an evaluation again from its record; exit code 1 if it does not come out the same.

    Args:
        run: A run id, the beginning of one, or an evaluation's key.
        data: Where the images lie now; None for the study's own.
        workspace: The folder that everything is written to.
        tracking_uri: MLflow's address; None for a file in the workspace.

    Raises:
        typer.Exit: With 1, if the results differ.
    """
    from experiments.workflows.models.reproduce import reproduce
    from search.workspace import Workspace as Place

    place = Place.at(workspace)
    done = reproduce(run, place, tracking_uri or place.tracking_uri, data, echo)
    echo(f"{done.likeness.capitalize()}: {done.evidence}.")
    if done.differing:
        echo(f"Not as it was: {'; '.join(done.differing)}.")
    elif done.likeness != "same to the bit":
        echo("Versions, backend, precision, threads and processor are as they were.")
    if done.likeness == "not the same":
        raise typer.Exit(1)
