"""Which experiments exist: one TOML file each, found by name in this folder or by path anywhere."""

import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from spaces.errors import UserError

FOLDER = Path(__file__).parent.parent


@dataclass(frozen=True)
class Entry:
    """One line of `candor list`."""

    name: str
    question: str
    space: tuple[str, ...]


def experiment_names() -> tuple[str, ...]:
    """Names of the experiments that come with the product, in alphabetical order."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def entries() -> tuple[Entry, ...]:
    """Every experiment with its question and space, read but not validated: fast enough for `candor list`."""
    return tuple(_entry(name) for name in experiment_names())


def _entry(name: str) -> Entry:
    document = read(FOLDER / f"{name}.toml")
    space = document["space"]
    return Entry(name, document["question"], (space,) if isinstance(space, str) else tuple(space))


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
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{shown(path)} is not valid TOML: {error}.") from error
    except OSError as error:
        raise UserError(f"{shown(path)} cannot be read: {error.strerror}.") from error


def shown(path: Path) -> str:
    """A path as people call it: without the long way to this project's own files."""
    return f"experiments/{path.name}" if path.parent == FOLDER else str(path)


def nearest(word: str, known: Collection[str]) -> str:
    """The known word that looks most like a mistyped one."""
    return get_close_matches(word, known, n=1, cutoff=0.0)[0]
