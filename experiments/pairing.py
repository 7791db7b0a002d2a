"""`candor compare`: two networks, from runs or from files, asked about the same images; never about the "
"test set."""

import base64
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from experiments.lookup import Recorded, find_evaluation, images_of, newest_study
from reports.pair import SHOWN, Paired, pair_csv, pair_page, paired
from reports.predictions import Predictions, read_predictions
from reports.store import MissingArtifactError
from search.datasets.prepare import prepare
from search.datasets.prepared import Part, Prepared
from search.models.opened import SUFFIX, Labels, Opened, open_file
from search.models.pictures import Picture, stacked
from search.models.predicting import raw_probabilities
from search.models.references import Located, locate
from search.tracking import names
from search.workspace import Workspace
from spaces.errors import UserError

_RUN = re.compile(r"[0-9a-f]{6,32}")
_LARGEST = 96  # pixels a side of a picture on the page
_SYNTHETIC = (
    "Synthetic data: the pictures were drawn by a program; nothing here says anything about real ones."
)


@dataclass(frozen=True)
class Side:
    """One of the two: an evaluation in MLflow, or a file with its name."""

    text: str
    recorded: Recorded | None
    located: Located | None

    @classmethod
    def of(cls, text: str, tracking_uri: str) -> "Side":
        """What a person named: a run id, a candor.key, a file, or a registered model's alias."""
        file = text.endswith(SUFFIX)
        if not file and ("/" in text or _RUN.fullmatch(text)):
            return cls(text, find_evaluation(text, tracking_uri), None)
        return cls(text, None, locate(text, tracking_uri))

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.recorded.run.name if self.recorded else self.text

    def stored(self) -> Predictions | None:
        """The answers that were stored with an evaluation."""
        if self.recorded is None:
            return None
        try:
            return read_predictions(self.recorded.store.artifact(self.recorded.run, names.PREDICTIONS_NPZ))
        except MissingArtifactError:
            return None

    def opened(self) -> Opened:
        """Its model, loaded. Raises UserError where there is none."""
        if self.located is not None:
            return open_file(self.located.path, self.located.labels, self.text)
        assert self.recorded is not None  # noqa: S101  it is one or the other
        try:
            path = self.recorded.store.artifact(self.recorded.run, names.MODEL_KERAS)
        except MissingArtifactError:
            raise UserError(
                f"run {self.text} kept no model, and its stored answers are to other images: only leaders "
                f"keep "
                'theirs, or all with protocol.keep_models = "all"'
            ) from None
        classes = class_names(self.recorded)
        return open_file(path, Labels(classes) if classes else None, self.name)


def class_names(recorded: Recorded) -> tuple[str, ...]:
    """The classes of a study, in the order of its networks' outputs; none where that was not kept."""
    try:
        text = recorded.store.artifact(recorded.parent, names.STUDY_JSON).read_text(encoding="utf-8")
    except MissingArtifactError:
        return ()
    return tuple(json.loads(text)["data"]["class_names"])


def compare(
    texts: tuple[str, str],
    workspace: Workspace,
    tracking_uri: str,
    source: str | None,
    experiment: str | None,
    say: Callable[[str], None],
) -> tuple[Paired, dict[str, str]]:
    """The two on the same images, and pictures of those on which they differ, as data URIs by id.

    The images: the validation part of `source`, or of the experiment's newest study, or of the study that the
    first run belongs to. Raises UserError.
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
    """Explored evaluations of one study, which were all ranked on the same monitor images."""
    if not (a.recorded and b.recorded) or a.recorded.parent.run_id != b.recorded.parent.run_id:
        return None
    stages = {side.recorded.run.tags.get(names.STAGE) for side in (a, b) if side.recorded}
    ours, theirs = a.stored(), b.stored()
    if stages != {names.EXPLORE} or not ours or not theirs or not np.array_equal(ours.ids, theirs.ids):
        return None
    numbered = [f"class {number}" for number in range(ours.probabilities.shape[1])]
    classes = class_names(a.recorded) or numbered
    note = (
        "Both were explored only: these are the monitor images, which stopped their training and ranked them."
    )
    return paired((a.name, ours), (b.name, theirs), "monitor images", classes, (note,))


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
    return answers_of(side.opened(), data, part, of_study=side.recorded is not None)


def _same_images(side: Side, data: Prepared) -> bool:
    if side.recorded is None:
        return False
    tags = side.recorded.parent.tags
    digests = (tags.get(names.DATA_DIGEST), tags.get(names.SPLIT_DIGEST))
    return digests == (data.digest, data.split_digest)


def answers_of(
    opened: Opened, data: Prepared, part: Part, *, of_study: bool = False
) -> tuple[Predictions, list[str]]:
    """What a network says of the images of a part, classes in the data's order, and remarks on it.

    Raises UserError where it tells other classes apart. Images are resized and recoloured to what it takes.
    """
    order, notes = _order(opened, data.class_names)
    images = np.asarray(part.images)
    if opened.image_shape != data.image_shape:
        notes.append(
            f"{opened.name} takes images of {_size(opened.image_shape)}: those of {_size(data.image_shape)} "
            "were resized or recoloured for it."
        )
        images = stacked((Picture("image", _flat(image)) for image in images), opened.image_shape)
    if not of_study:
        notes.append(
            f"Whether {opened.name} was trained on some of these images is not known: if it was, its "
            f"number is "
            "too high."
        )
    ranked = np.argsort(part.ids, kind="stable")
    return Predictions(
        ids=np.asarray(part.ids)[ranked].astype(str),
        labels=np.asarray(part.labels)[ranked],
        probabilities=raw_probabilities(opened, images)[:, order][ranked],
        groups=np.asarray(part.groups)[ranked],
        has_twin=np.asarray(part.has_twin)[ranked],
    ), notes


def _order(opened: Opened, classes: tuple[str, ...]) -> tuple[list[int], list[str]]:
    """Where the data's classes stand among the network's outputs."""
    own = opened.labels.class_names
    if len(own) != len(classes):
        raise UserError(
            f"{opened.name} tells {len(own)} classes apart, the images have {len(classes)} "
            f"({', '.join(classes)}): they cannot be compared"
        )
    if set(own) == set(classes):
        return [own.index(name) for name in classes], []
    if own != tuple(f"class {number}" for number in range(len(own))):
        raise UserError(
            f"{opened.name} tells {', '.join(own)} apart, the images are labelled {', '.join(classes)}"
        )
    note = f"{opened.name} does not name its classes: taken to be {', '.join(classes)}, in this order."
    return list(range(len(classes))), [note]


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _flat(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return image[:, :, 0] if image.shape[2] == 1 else image


def _pictures(pair: Paired, part: Part) -> dict[str, str]:
    place = {str(name): at for at, name in enumerate(part.ids)}
    return {one.image: _uri(part.images[place[one.image]]) for one in pair.disagreements[:SHOWN]}


def _uri(image: NDArray[np.uint8]) -> str:
    picture = Image.fromarray(_flat(np.asarray(image)))
    picture.thumbnail((_LARGEST, _LARGEST))
    with io.BytesIO() as file:
        picture.save(file, "PNG")
        return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def folder_name(a: str, b: str) -> str:
    """A name for what is written about two."""
    plain = [re.sub(r"[^\w.]+", "-", Path(text).stem if text.endswith(SUFFIX) else text) for text in (a, b)]
    return "_".join(plain)


def write(pair: Paired, pictures: Mapping[str, str], folder: Path) -> Path:
    """Write the page and the list; the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "differences.csv").write_text(pair_csv(pair), encoding="utf-8")
    (folder / "index.html").write_text(pair_page(pair, pictures), encoding="utf-8")
    return folder / "index.html"
