"""Which experiments exist: one TOML file each, found by name in this folder or by path anywhere."""

import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from search.safety.sizes import read_file
from spaces.errors import UserError

#: Bytes of an experiment file, levels of nesting, and numbers in it.
_LARGEST, _DEEPEST, _LARGEST_NUMBER = 2**24, 12, 10**18
FOLDER = Path(__file__).parent.parent


@dataclass(frozen=True)
class ExperimentSummary:
    """One line of `candor list`."""

    name: str
    question: str
    space: tuple[str, ...]


def experiment_names() -> tuple[str, ...]:
    """Names of the experiments that come with the product, in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def entries() -> tuple[ExperimentSummary, ...]:
    """Every experiment with its question and space, read but not validated: fast enough for `candor list`."""
    return tuple(_entry(name) for name in experiment_names())


def _entry(name: str) -> ExperimentSummary:
    document = read(FOLDER / f"{name}.toml")
    space = document["space"]
    return ExperimentSummary(name, document["question"], (space,) if isinstance(space, str) else tuple(space))


def find(name_or_path: str | Path) -> Path:
    """The file of an experiment: a name from this folder, or a path to a TOML file anywhere.

    Raises UserError with the experiments that exist, the nearest one first.
    """
    text = str(name_or_path)
    if text in experiment_names():
        return FOLDER / f"{text}.toml"
    path = Path(text).expanduser()
    if path.is_file():
        return path
    if path.suffix == ".toml" or len(path.parts) > 1:
        raise UserError(f"There is no experiment file {text}; check the path.")
    names = experiment_names()
    raise UserError(
        f'There is no experiment "{text}"; the nearest is "{nearest(text, names)}", and there are: '
        f"{', '.join(names)}. A path to a TOML file of your own works too."
    )


def read(path: Path) -> dict[str, Any]:
    """The parsed TOML of one file. Raises UserError if it cannot be read or is no TOML."""
    try:
        document = tomllib.loads(read_file(path, _LARGEST).decode("utf-8-sig").replace("\r\n", "\n"))
    except (ValueError, RecursionError) as error:  # tomllib.TOMLDecodeError and UnicodeDecodeError among them
        raise UserError(
            f"{shown(path)} is not valid TOML: {str(error) or 'it is nested too deeply'}."
        ) from error
    except OSError as error:
        raise UserError(f"{shown(path)} cannot be read: {error.strerror}.") from error
    check_document(document, shown(path))
    return document


def check_document(document: Any, where: str, depth: int = 0) -> None:
    """Raise UserError for a document that is nested deeper, or has larger numbers, than experiments need."""
    if depth > _DEEPEST:
        raise UserError(f"{where} is nested more than {_DEEPEST} levels deep: no key of an experiment is.")
    if isinstance(document, int) and abs(document) > _LARGEST_NUMBER:
        raise UserError(
            f"{where} has a whole number of more than 18 digits, which no key of an experiment takes."
        )
    within = (
        document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    )
    for value in within:
        check_document(value, where, depth + 1)


def shown(path: Path) -> str:
    """A path as people call it: without the long way to this project's own files."""
    return f"experiments/{path.name}" if path.parent == FOLDER else str(path)


def nearest(word: str, known: Collection[str]) -> str:
    """The known word that looks most like a mistyped one."""
    return get_close_matches(word, known, n=1, cutoff=0.0)[0]
