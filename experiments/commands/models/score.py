"""`candor score`: put a model made elsewhere into a study's table."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.options import Experiment, TrackingUri, Workspace
from experiments.terminal import echo

PANEL = "Models"


def command(
    file: Annotated[Path, typer.Argument(help="A .keras file. Nothing in it is executed.")],
    experiment: Experiment,
    workspace: Workspace = Path("runs"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Measure a model made elsewhere on a study's validation images, as a row of its table.

    Args:
        file: The `.keras` file.
        experiment: The experiment whose newest study it joins.
        workspace: The folder that everything is written to.
        tracking_uri: MLflow's address; None for a file in the workspace.
    """
    from experiments.schema.experiment_name import name_of
    from experiments.workflows.console.quiet import without_chatter
    from experiments.workflows.models.score import score
    from experiments.workflows.study.conclude import report
    from search.workspace import Workspace as Place

    place, name = Place.at(workspace), name_of(experiment)
    tracking = tracking_uri or place.tracking_uri
    with without_chatter():
        found = score(file, name, place, tracking, echo)
    known = "" if found.new else " (it is in the table already)"
    if found.replaced:
        known = " (this replaces its earlier row, for which the file was read in another way)"
    echo(
        f"{found.label}: validation accuracy {found.accuracy:.1%}, 95% interval {found.low:.1%} to "
        f"{found.high:.1%} over {found.images:,} images{known}."
    )
    for note in found.notes:
        echo(note)
    echo("One network is no procedure: the row is shown beside the study's and competes for nothing.")
    echo(f"Report: {report([name], tracking, place.reports)}")
