"""`candor export`: a model as a file to take elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.options import Force, ModelReference, TrackingUri, Workspace
from experiments.terminal import echo

PANEL = "Models"


def command(
    out: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write it.", show_default=False)],
    model: ModelReference = "champion",
    form: Annotated[str, typer.Option("--format", help="keras or onnx.")] = "keras",
    force: Force = False,
    workspace: Workspace = Path("runs"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Write a model and its class names, checked against Keras on the validation images.

    Args:
        out: The folder to write to.
        model: The model: champion, NAME@alias, a run id or a `.keras` file.
        form: The format, keras or onnx.
        force: Whether to overwrite files that Candor did not write.
        workspace: The folder that everything is written to.
        tracking_uri: MLflow's address; None for a file in the workspace.
    """
    import numpy as np

    from experiments.workflows.console.quiet import without_chatter
    from experiments.workflows.study.lookup import validation_images
    from search.models.classifier import open_file
    from search.models.export import export
    from search.models.registry.provenance import origin_of
    from search.models.registry.references import locate
    from search.workspace import Workspace as Place

    place = Place(workspace.resolve())
    tracking = tracking_uri or place.tracking_uri
    found = locate(model, tracking)
    origin = origin_of(model, tracking)
    with without_chatter():
        classifier = open_file(found.path, found.labels, found.version)
        if origin is not None:
            images, which = np.asarray(validation_images(place, origin.tags).images), "validation"
        else:  # of a file from elsewhere nobody knows the images
            random = np.random.default_rng(0)
            images, which = random.integers(0, 256, (256, *classifier.image_shape)).astype(np.uint8), "random"
        done = export(classifier, found.path, form, out, images, force=force)
    echo(f"{classifier.name} is in {done.path}, its class names are beside it.")
    changed = {0: "no label", 1: "1 label"}.get(done.changed_labels, f"{done.changed_labels} labels")
    echo(
        f"Checked against Keras on {done.images:,} {which} images: the largest difference of a probability "
        f"is {done.largest_difference:.1e}, and {changed} changed."
    )
