"""`candor predict`: name what is in pictures."""

from contextlib import nullcontext
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from experiments.options import Force, ModelReference, TrackingUri, Workspace
from experiments.terminal import echo

if TYPE_CHECKING:
    from search.models.batches import LabelledPicture
    from search.models.classifier import Classifier
    from search.safety.output import OutputFolder

PANEL = "Models"


def command(
    pictures: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE...", help="Files, folders, globs, or - for standard input.", show_default=False
        ),
    ],
    model: ModelReference = "champion",
    faces: Annotated[bool, typer.Option("--faces", help="Find faces, and label each.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    save: Annotated[
        Path | None, typer.Option("--save", help="Save each picture there with boxes, labels and bars.")
    ] = None,
    explain: Annotated[
        Path | None,
        typer.Option("--explain", help="Save there what each prediction rests on, as an overlay."),
    ] = None,
    classes: Annotated[
        str | None, typer.Option("--classes", help="Names of a .keras file's classes: angry,happy,...")
    ] = None,
    force: Force = False,
    workspace: Workspace = Path("runs"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Name what is in pictures: the label, and how probable each class is.

    Args:
        pictures: Files, folders, globs, or - for standard input.
        model: The model: champion, NAME@alias, a run id or a `.keras` file.
        faces: Whether to find faces, and to label each.
        json: Whether to print JSON.
        csv: Whether to print CSV.
        save: The folder for pictures with boxes, labels and bars.
        explain: The folder for overlays that show what each prediction rests on.
        classes: Names of a `.keras` file's classes, separated by commas.
        force: Whether to overwrite files that Candor did not write.
        workspace: The folder that everything is written to.
        tracking_uri: MLflow's address; None for a file in the workspace.

    Raises:
        UserError: If the model cannot be used.
        typer.Exit: With 2, if one of the pictures cannot be read.
    """
    import sys

    from experiments.workflows.console import prediction_output
    from experiments.workflows.console.quiet import without_chatter
    from search.models.batches import label_pictures
    from search.models.classifier import Labels
    from search.models.images import gather
    from search.models.registry.references import open_model
    from search.safety.output import OutputFolder
    from search.workspace import Workspace as Place
    from spaces.errors import UserError

    if json and csv:
        raise UserError("--json and --csv exclude each other: ask for one of them")
    labels = Labels(tuple(name.strip() for name in classes.split(","))) if classes else None
    found = gather(pictures, lambda line: typer.echo(f"candor: {line}", err=True))
    tracking = tracking_uri or Place(workspace.resolve()).tracking_uri
    with without_chatter():
        classifier = open_model(model, tracking, labels)
    saved, explained = (None if path is None else OutputFolder(path, force=force) for path in (save, explain))
    if saved and explained and saved.folder.samefile(explained.folder):
        explained = saved
    mistakes: list[str] = []
    stems: set[str] = set()

    def notice(one: "LabelledPicture") -> None:
        if one.mistake:
            mistakes.append(one.mistake)
            echo(f"candor: {one.mistake}", err=True)
        else:
            _save(one, _own_stem(one.picture.name, stems), classifier, saved, explained)

    with saved or nullcontext(), explained or nullcontext():
        labelled = prediction_output.noticing(label_pictures(classifier, found, faces), notice)
        if json:
            prediction_output.as_json(labelled, sys.stdout, classifier)
        elif csv:
            prediction_output.as_csv(labelled, sys.stdout, classifier)
        else:
            prediction_output.for_people(labelled, sys.stdout)
    if mistakes:
        raise typer.Exit(2)


def _own_stem(name: str, taken: set[str]) -> str:
    """What the files of a picture are called: as it is, and numbered where an earlier one is called so."""
    stem = Path(name).stem.replace(" ", "_")
    candidates = chain([stem], (f"{stem}-{number}" for number in count(2)))
    own = next(candidate for candidate in candidates if candidate not in taken)
    taken.add(own)
    return own


def _save(
    one: "LabelledPicture",
    stem: str,
    classifier: "Classifier",
    pictures: "OutputFolder | None",
    explanations: "OutputFolder | None",
) -> None:
    from search.models import drawing
    from search.models.occlusion import importance, overlay
    from search.safety.paths import file_name

    if pictures is not None:
        drawing.save(drawing.annotated(one.picture.upright(), one.regions), pictures.path(f"{stem}.png"))
    if explanations is None:
        return
    for number, (region, image) in enumerate(zip(one.regions, one.inputs, strict=True), start=1):
        label = classifier.labels.class_names.index(region.prediction.label)
        face = f"-face{number}" if region.face else ""
        drawing.save(
            overlay(image, importance(classifier, image, label)),
            explanations.path(f"{stem}{face}-{file_name(region.prediction.label)}.png"),
        )
