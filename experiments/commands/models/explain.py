"""`candor explain`: what a model's answers rest on, class by class."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.options import Force, ModelReference, TrackingUri, Workspace
from experiments.terminal import echo

PANEL = "Models"


def command(
    model: ModelReference = "champion",
    out: Annotated[
        Path | None, typer.Option("--out", help="A PNG file. Default: in reports/ of the workspace.")
    ] = None,
    force: Force = False,
    workspace: Workspace = Path("runs"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Draw which parts of the validation images a model's answers rest on, and show it in the report.

    Args:
        model: The model: champion, NAME@alias, a run id or a `.keras` file.
        out: The PNG file to write; None for one in `reports/` of the workspace.
        force: Whether to overwrite files that Candor did not write.
        workspace: The folder that everything is written to.
        tracking_uri: MLflow's address; None for a file in the workspace.
    """
    import numpy as np

    from experiments.workflows.console.quiet import without_chatter
    from experiments.workflows.study.conclude import report
    from experiments.workflows.study.lookup import validation_images
    from search.models.drawing import save
    from search.models.explanation_sheet import sheet
    from search.models.registry.provenance import origin_of
    from search.models.registry.references import client_of, open_model
    from search.safety.output import OutputFolder
    from search.safety.paths import below
    from search.tracking import names
    from search.workspace import Workspace as Place
    from spaces.errors import UserError

    place = Place(workspace.resolve())
    tracking = tracking_uri or place.tracking_uri
    origin = origin_of(model, tracking)
    if origin is None:
        raise UserError(
            f"{model} is a file: of what it was trained on nothing is known; ask for single pictures with "
            "`candor predict IMAGE --explain FOLDER`"
        )
    part = validation_images(place, origin.tags)
    with without_chatter():
        classifier = open_model(model, tracking)
        drawn = sheet(classifier, np.asarray(part.images), part.labels)
    path = out or below(place.reports, origin.experiment) / names.EXPLANATIONS_PNG
    with OutputFolder(path.parent, force=force or out is None) as files:
        save(drawn, files.path(path.name))
    if path.name == names.EXPLANATIONS_PNG:
        client_of(tracking).log_artifact(origin.study_run_id, str(path))
        report([origin.experiment], tracking, place.reports)
    echo(f"{classifier.name}: {path}")
