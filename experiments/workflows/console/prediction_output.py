"""How `candor predict` prints what it saw: for people, as JSON, or as CSV."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO

from search.models.batches import LabelledPicture
from search.models.classifier import Classifier
from search.models.drawing import Region
from search.safety.text import MESSAGE, csv_row, line


def for_people(labelled: Iterable[LabelledPicture], out: TextIO) -> None:
    """A line for each picture or face: the label, how sure, and the two next ones."""
    for one in labelled:
        if not one.regions and not one.mistake:
            print(line(f"{one.picture.name}: no face found"), file=out)
        for number, region in enumerate(one.regions, start=1):
            place = f", face {number} at {region.face.left},{region.face.top}" if region.face else ""
            print(line(f"{one.picture.name}{place}: {_ranked(region)}", MESSAGE), file=out, flush=True)


def _ranked(region: Region) -> str:
    first, *others = sorted(region.prediction.probabilities.items(), key=lambda pair: -pair[1])
    rest = ", ".join(f"{label} {probability:.2f}" for label, probability in others[:2])
    return f"{first[0]} {first[1]:.2f} ({rest})"


def as_json(labelled: Iterable[LabelledPicture], out: TextIO, classifier: Classifier) -> None:
    """One document: the model, and an entry for each picture."""
    pictures = [
        {"picture": one.picture.name, **({"error": one.mistake} if one.mistake else _entry(one))}
        for one in labelled
    ]
    known = {"model": classifier.name, "temperature": classifier.labels.temperature, "pictures": pictures}
    json.dump(known, out, indent=1, ensure_ascii=_encoding(out) != "utf-8")
    print(file=out)


def _encoding(out: TextIO) -> str:
    return (getattr(out, "encoding", None) or "utf-8").lower().replace("_", "-").replace("utf8", "utf-8")


def _entry(one: LabelledPicture) -> dict[str, object]:
    if len(one.regions) == 1 and one.regions[0].face is None:
        return _answer(one.regions[0])
    return {"faces": [_answer(region) for region in one.regions]}


def _answer(region: Region) -> dict[str, object]:
    box = (
        {}
        if region.face is None
        else {"box": [region.face.left, region.face.top, region.face.side, region.face.side]}
    )
    said = region.prediction
    return {**box, "label": said.label, "confidence": said.confidence, "probabilities": said.probabilities}


def as_csv(labelled: Iterable[LabelledPicture], out: TextIO, classifier: Classifier) -> None:
    """A row for each picture or face; box columns are empty for whole pictures."""
    table = csv.writer(out, lineterminator="\n")
    head = ["picture", "left", "top", "side", "label", "confidence", *classifier.labels.class_names]
    table.writerow(csv_row(head))
    for one in labelled:
        for region in one.regions:
            face = region.face
            box = ["", "", ""] if face is None else [face.left, face.top, face.side]
            said = region.prediction
            table.writerow(
                csv_row([one.picture.name, *box, said.label, said.confidence, *said.probabilities.values()])
            )


def noticing(
    labelled: Iterable[LabelledPicture], notice: Callable[[LabelledPicture], None]
) -> Iterator[LabelledPicture]:
    """Pass every picture on, after `notice` got it."""
    for one in labelled:
        notice(one)
        yield one
