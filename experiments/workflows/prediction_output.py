"""How `candor predict` prints what it saw: for people, as JSON, or as CSV."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO

from search.models.batches import Looked
from search.models.classifier import Opened
from search.models.drawing import Seen


def for_people(looked: Iterable[Looked], out: TextIO) -> None:
    """A line for each picture or face: the label, how sure, and the two next ones."""
    for one in looked:
        if not one.seen and not one.mistake:
            print(f"{one.picture.name}: no face found", file=out)
        for number, seen in enumerate(one.seen, start=1):
            place = f", face {number} at {seen.face.left},{seen.face.top}" if seen.face else ""
            print(f"{one.picture.name}{place}: {_ranked(seen)}", file=out, flush=True)


def _ranked(seen: Seen) -> str:
    first, *others = sorted(seen.prediction.probabilities.items(), key=lambda pair: -pair[1])
    rest = ", ".join(f"{label} {probability:.2f}" for label, probability in others[:2])
    return f"{first[0]} {first[1]:.2f} ({rest})"


def as_json(looked: Iterable[Looked], out: TextIO, opened: Opened) -> None:
    """One document: the model, and an entry for each picture."""
    pictures = [
        {"picture": one.picture.name, **({"error": one.mistake} if one.mistake else _entry(one))}
        for one in looked
    ]
    known = {"model": opened.name, "temperature": opened.labels.temperature, "pictures": pictures}
    json.dump(known, out, indent=1, ensure_ascii=False)
    print(file=out)


def _entry(one: Looked) -> dict[str, object]:
    if len(one.seen) == 1 and one.seen[0].face is None:
        return _answer(one.seen[0])
    return {"faces": [_answer(seen) for seen in one.seen]}


def _answer(seen: Seen) -> dict[str, object]:
    box = (
        {} if seen.face is None else {"box": [seen.face.left, seen.face.top, seen.face.side, seen.face.side]}
    )
    said = seen.prediction
    return {**box, "label": said.label, "confidence": said.confidence, "probabilities": said.probabilities}


def as_csv(looked: Iterable[Looked], out: TextIO, opened: Opened) -> None:
    """A row for each picture or face; box columns are empty for whole pictures."""
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["picture", "left", "top", "side", "label", "confidence", *opened.labels.class_names])
    for one in looked:
        for seen in one.seen:
            face = seen.face
            box = ["", "", ""] if face is None else [face.left, face.top, face.side]
            said = seen.prediction
            table.writerow(
                [one.picture.name, *box, said.label, said.confidence, *said.probabilities.values()]
            )


def noticing(looked: Iterable[Looked], notice: Callable[[Looked], None]) -> Iterator[Looked]:
    """Pass every picture on, after `notice` has seen it."""
    for one in looked:
        notice(one)
        yield one
