"""Tables of votes: for each image, how many people saw which class.

The format of FER+ (`fer2013new.csv`: Barsoum, Zhang, Canton Ferrer and Zhang, "Training deep networks for
facial expression recognition with crowd-sourced label distribution", 2016) is read as it is: columns Usage,
Image name, neutral, happiness, ..., unknown, NF. Other tables need a column of image names and one for each
class.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from search.datasets.listing.archives import MAX_TABLE
from search.safety.sizes import check_file
from spaces.errors import UserError

#: Columns of image names, in lower case.
NAMES: Final = ("image name", "image", "file", "filename", "name", "id")
_IGNORED: Final = ("usage",)
#: What FER+ calls the classes of FER-2013.
_SYNONYMS: Final = {"happiness": "happy", "sadness": "sad", "anger": "angry"}
_SHOWN: Final = 8


@dataclass(frozen=True)
class Votes:
    """Votes by image name without its ending: a number for each column.

    `columns`: names in lower case, in the order of the table; `digest_of_rows` is what `by_name` holds.
    """

    columns: tuple[str, ...]
    by_name: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Judged:
    """What a table says of n images.

    `shares`: float32 (n, classes), each row sums to 1 where `kept`. `kept`: bool (n,), whether the image has
    a majority among the classes. `absent`, `rejected`, `tied`: how many images are left out, and why.
    """

    shares: NDArray[np.float32]
    kept: NDArray[np.bool_]
    absent: int
    rejected: int
    tied: int


def read_votes(path: Path) -> Votes:
    """Read a table of votes.

    Args:
        path: A CSV file.

    Raises:
        UserError: If it cannot be read, has no column of image names, or holds a vote that is no number.
    """
    try:
        check_file(path, MAX_TABLE, "a table")
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [line for line in csv.reader(file) if any(cell.strip() for cell in line)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"[data] labels: {path} cannot be read as a table of votes: {error}.") from error
    head = [name.strip().lower() for name in lines[0]] if lines else []
    place = next((head.index(name) for name in NAMES if name in head), None)
    if place is None:
        raise UserError(
            f"[data] labels: {path} has no column of image names ({', '.join(NAMES)}). "
            f"Received: {', '.join(head[:_SHOWN]) or 'an empty file'}."
        )
    columns = [at for at, name in enumerate(head) if at != place and name and name not in _IGNORED]
    by_name: dict[str, NDArray[np.float64]] = {}
    for number, line in enumerate(lines[1:], start=2):
        if len(line) <= place or not (name := line[place].strip()):
            continue  # FER+ leaves the name empty where no tagger saw a face
        try:
            votes = np.array([float(line[at].strip() or 0) for at in columns])
        except (ValueError, IndexError) as error:
            raise UserError(f"[data] labels: {path}, line {number} holds no votes: {error}.") from error
        if not np.isfinite(votes).all() or votes.min(initial=0) < 0:
            raise UserError(f"[data] labels: {path}, line {number}: votes must be numbers of at least 0.")
        by_name[_stem(name)] = votes
    return Votes(tuple(head[at] for at in columns), by_name)


def judge(votes: Votes, ids: Sequence[str], class_names: Sequence[str], where: str) -> Judged:
    """Turn votes into a distribution over the classes for each image, and leave out what has no majority.

    An image is left out if the table lacks it, if it has no votes, if most votes are for no class of this
    data set (unknown, no face, another emotion), or if two classes have equally many.

    Args:
        votes: The table.
        ids: The images, "role/class/file".
        class_names: The classes, in the order of the labels.
        where: What opens the sentence of a UserError.

    Raises:
        UserError: If the table has no column for a class, or knows none of the images.
    """
    known = {_SYNONYMS.get(name, name): at for at, name in enumerate(votes.columns)}
    own = [known.get(_SYNONYMS.get(name.lower(), name.lower())) for name in class_names]
    if None in own:
        missing = [name for name, at in zip(class_names, own, strict=True) if at is None]
        raise UserError(
            f"{where} has no column for {', '.join(missing)}. Received: {', '.join(votes.columns[:_SHOWN])}."
        )
    columns = np.array(own, np.int64)
    shares = np.zeros((len(ids), len(class_names)), np.float32)
    kept = np.zeros(len(ids), np.bool_)
    absent = rejected = tied = 0
    for row, name in enumerate(ids):
        found = votes.by_name.get(_key(name))
        if found is None:
            absent += 1
            continue
        among = found[columns]
        others = np.delete(found, columns).max(initial=0.0)
        if among.max(initial=0.0) <= others or not among.sum():
            rejected += 1
        elif (among == among.max()).sum() > 1:
            tied += 1
        else:
            kept[row] = True
            shares[row] = among / among.sum()
    if absent == len(ids):
        raise UserError(
            f"{where} names none of the images: it has {', '.join(list(votes.by_name)[:3])}, ..., and the "
            f"data {', '.join(_key(name) for name in list(ids)[:3])}, ..."
        )
    return Judged(shares, kept, absent, rejected, tied)


def _stem(name: str) -> str:
    """An image's name without folders and ending."""
    file = name.replace("\\", "/").rsplit("/", 1)[-1]
    return file.rsplit(".", 1)[0] if "." in file else file


def _key(name: str) -> str:
    """What a table calls the image of an id; the rows of fer2013.csv are numbered as in FER+."""
    stem = _stem(name)
    number = stem.removeprefix("row-")
    return f"fer{int(number) - 2:07d}" if number != stem and number.isdecimal() else stem
