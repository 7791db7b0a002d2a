"""`candor compare`: two networks on the same images."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.options import Force, TrackingUri, Workspace
from experiments.terminal import echo

PANEL = "Models"
_WHAT = "A run id, an evaluation's candor.key, a .keras file, or a registered model's alias."


def command(
    a: Annotated[str, typer.Argument(help=_WHAT)],
    b: Annotated[str, typer.Argument(help="The same.")],
    experiment: Annotated[
        str | None, typer.Option("--experiment", help="On the validation images of its newest study.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="On the validation images of this source.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to write the page and the list of images.")
    ] = None,
    force: Force = False,
    workspace: Workspace = Path("runs"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Compare two networks on the same images: paired difference with interval, and where they differ.

    Args:
        a: A model: a run id, a key, a file or a registered model.
        b: Another model.
        experiment: The experiment whose newest study gives the images.
        data: The data set to compare on.
        out: The folder to write to.
        force: Whether to overwrite files that Candor did not write.
        workspace: The folder that everything is written to.
        tracking_uri: MLflow's address; None for a file in the workspace.
    """
    from experiments.schema.experiment_name import name_of
    from experiments.workflows.console.quiet import without_chatter
    from experiments.workflows.models.compare import compare, folder_name, write
    from search.workspace import Workspace as Place

    place = Place.at(workspace)
    name = None if experiment is None else name_of(experiment)
    tracking = tracking_uri or place.tracking_uri
    with without_chatter():
        pair, pictures = compare((a, b), place, tracking, data, name, echo)
    echo(f"A: {pair.a}\nB: {pair.b}")
    for sentence in (*pair.sentences, *pair.notes):
        echo(sentence)
    folder = out or place.reports / "comparisons" / folder_name(a, b)
    echo(f"Which images, with pictures: {write(pair, pictures, folder, force=force or out is None)}")
