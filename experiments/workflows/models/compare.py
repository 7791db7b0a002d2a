"""`candor compare`: two networks on the same images; never on the test set."""

import base64
import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from experiments.workflows.models.predictors import (
    Side,
    class_names,
    flat,
    folded,
    predictions_of,
)
from experiments.workflows.study.lookup import images_of, newest_study
from reports.pair import (
    SHOWN,
    Paired,
    pair_csv,
    pair_page,
    paired,
)
from reports.records.predictions import Predictions
from search.datasets.cache.prepared import Part, Prepared
from search.datasets.prepare import prepare
from search.models.classifier import SUFFIX
from search.safety.output import OutputFolder
from search.safety.text import csv_file
from search.tracking import names
from search.workspace import Workspace
from spaces.errors import UserError

_LARGEST = 96  # pixels a side of a picture on the page
_MONITOR = (
    "Both were explored only: these are the monitor images, which stopped their training and ranked them."
)
_FOLDS = "Each image was judged by the network of the fold that had not seen it."
_SYNTHETIC = (
    "Synthetic data: the pictures were drawn by a program; nothing here says anything about real ones."
)


def compare(
    texts: tuple[str, str],
    workspace: Workspace,
    tracking_uri: str,
    source: str | None,
    experiment: str | None,
    say: Callable[[str], None],
) -> tuple[Paired, dict[str, str]]:
    """Compare two models on the same images.

    The images are the validation part of `source`, or of the experiment's newest study, or of the study
    that the first run belongs to.

    Args:
        texts: The two models as a person names them: run ids, keys, files or registered models.
        workspace: The workspace with the prepared images.
        tracking_uri: MLflow's address.
        source: The data set to compare on; None for a study's.
        experiment: The experiment whose newest study gives the images; None for the run's own.
        say: Shows a sentence to the user.

    Returns:
        The comparison, and pictures of the images on which the two differ, as data URIs by id.

    Raises:
        UserError: If a model or the images cannot be had, or the classes differ.
    """
    a, b = (Side.of(text, tracking_uri) for text in texts)
    if source is None and experiment is None and (alike := _as_stored(a, b)):
        return alike, {}
    data = _images(a, b, workspace, tracking_uri, source, experiment, say)
    part, notes = data.validation(), [_SYNTHETIC] if data.synthetic else []
    answers = []
    for side in (a, b):
        found, remarks = _answers(side, data, part)
        answers.append((side.name, found))
        notes += [remark for remark in remarks if remark not in notes]
    where = f"validation images of {data.name}"
    pair = paired(answers[0], answers[1], where, data.class_names, notes)
    return pair, _pictures(pair, part)


def _as_stored(a: Side, b: Side) -> Paired | None:
    """Evaluations of one study by what they answered: explored ones on monitor, folded ones on all images."""
    if not (a.recorded and b.recorded) or a.recorded.parent.run_id != b.recorded.parent.run_id:
        return None
    stages = {side.recorded.run.tags.get(names.STAGE) for side in (a, b) if side.recorded}
    ours, theirs = a.stored(), b.stored()
    over_folds = stages == {names.CONFIRM} and folded(a.recorded)
    if (
        (stages != {names.EXPLORE} and not over_folds)
        or not ours
        or not theirs
        or not np.array_equal(ours.ids, theirs.ids)
    ):
        return None
    numbered = [f"class {number}" for number in range(ours.probabilities.shape[1])]
    classes = class_names(a.recorded) or numbered
    where, note = ("images over folds", _FOLDS) if over_folds else ("monitor images", _MONITOR)
    return paired((a.name, ours), (b.name, theirs), where, classes, (note,))


def _images(
    a: Side,
    b: Side,
    workspace: Workspace,
    tracking_uri: str,
    source: str | None,
    experiment: str | None,
    say: Callable[[str], None],
) -> Prepared:
    if experiment is not None:
        return images_of(newest_study(experiment, tracking_uri), workspace, source, say)
    if source is not None:
        return prepare(source, workspace.cache, say=say)
    recorded = a.recorded or b.recorded
    if recorded is None:
        raise UserError("say on which images: --experiment NAME for its validation images, or --data SOURCE")
    return images_of(recorded, workspace, None, say)


def _answers(side: Side, data: Prepared, part: Part) -> tuple[Predictions, list[str]]:
    """One side's answers to the images of a part, and what is to be known about them."""
    stored = side.stored()
    if stored is not None and _same_images(side, data) and np.array_equal(stored.ids, np.sort(part.ids)):
        return stored, []
    return predictions_of(side.classifier(), data, part, of_study=side.recorded is not None)


def _same_images(side: Side, data: Prepared) -> bool:
    if side.recorded is None:
        return False
    tags = side.recorded.parent.tags
    digests = (tags.get(names.DATA_DIGEST), tags.get(names.SPLIT_DIGEST))
    return digests == (data.digest, data.split_digest)


def _pictures(pair: Paired, part: Part) -> dict[str, str]:
    place = {str(name): at for at, name in enumerate(part.ids)}
    return {one.image: _uri(part.images[place[one.image]]) for one in pair.disagreements[:SHOWN]}


def _uri(image: NDArray[np.uint8]) -> str:
    picture = Image.fromarray(flat(np.asarray(image)))
    picture.thumbnail((_LARGEST, _LARGEST))
    with io.BytesIO() as file:
        picture.save(file, "PNG")
        return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def folder_name(a: str, b: str) -> str:
    """A name for what is written about two."""
    plain = [Path(text).stem if text.endswith(SUFFIX) else text for text in (a, b)]
    return "_".join(re.sub(r"[^\w.]+", "-", text)[-60:] for text in plain)


def write(pair: Paired, pictures: Mapping[str, str], folder: Path, *, force: bool = False) -> Path:
    """Write the page and the list; the page's path. Raises UserError for a file of somebody else's."""
    with OutputFolder(folder, force=force) as files:
        files.check(("differences.csv", "index.html"))
        files.write("differences.csv", csv_file(pair_csv(pair)))
        return files.write("index.html", pair_page(pair, pictures))
