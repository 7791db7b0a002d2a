"""Code of the user's own that an experiment file names as "package.module:name". Imports no Keras.

The current folder comes last on the path: nothing in it replaces an installed module, and a file that
an installed module hides is named.
"""

import importlib
import importlib.util
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from spaces.errors import UserError
from spaces.family import nearest


def checked(name: str) -> str:
    """Return "package.module:name" as it is. Raises UserError for other forms; nothing is imported."""
    module, _, attribute = name.partition(":")
    if not (attribute.isidentifier() and all(part.isidentifier() for part in module.split("."))):
        raise UserError(f'Code of your own is written "package.module:name". Received: "{name}".')
    return name


def imported(name: str) -> Any:
    """Import what "package.module:name" names. This runs the module.

    Args:
        name: a module and a name in it; the module is found in the current folder too.

    Returns:
        The object.

    Raises:
        UserError: if there is no such module or name, the module does not import, or another one hides it.
    """
    module_name, _, attribute = checked(name).partition(":")
    module = _module(module_name)
    if not hasattr(module, attribute):
        public = [known for known in vars(module) if not known.startswith("_")]
        raise UserError(f"{module_name} has no {attribute!r}: {nearest(attribute, public)}.")
    return getattr(module, attribute)


def _module(name: str) -> ModuleType:
    here = Path.cwd()
    if str(here) not in sys.path:
        sys.path.append(str(here))  # last: nothing in that folder takes the place of an installed module
    _refuse_hidden(name, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if f"{name}.".startswith(f"{error.name}."):
            reason = f"There is no module {name!r}: start in the folder that holds it."
        else:
            reason = f"{name} imports {error.name}, which is not installed."
        raise UserError(reason + _hint(here)) from error
    except (ImportError, AttributeError) as error:
        hint = _hint(here)
        if not hint:
            raise
        raise UserError(f"{name} cannot be imported ({error}).{hint}") from error


def _refuse_hidden(name: str, here: Path) -> None:
    """Raise UserError where the module lies in the folder, and another one is found by its name."""
    own = here.joinpath(*name.split("."))
    file = next((path for path in (own.with_suffix(".py"), own / "__init__.py") if path.is_file()), None)
    other = _installed(name.partition(".")[0], here)
    if file is not None and other:
        raise UserError(
            f"{file} cannot be imported: {other} has the name {name.partition('.')[0]!r} too. "
            "Rename your file."
        )


def _hint(here: Path) -> str:
    """A sentence on modules in the folder that are hidden by others; "" where there are none."""
    hidden = sorted(name for name in _top_names(here) if _installed(name, here))
    if not hidden:
        return ""
    return (
        f" In {here}, {', '.join(hidden)} cannot be imported, since installed modules have these names: "
        "rename your files."
    )


def _top_names(here: Path) -> Iterator[str]:
    for path in here.iterdir():
        if path.suffix == ".py" or (path / "__init__.py").is_file():
            yield path.stem


def _installed(name: str, here: Path) -> str:
    """What is imported by a top-level name, where that is not in the folder; "" otherwise."""
    if name in sys.builtin_module_names or name in sys.stdlib_module_names:
        return "Python's standard library"
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return ""
    places = [] if found is None else [found.origin, *(found.submodule_search_locations or ())]
    where = next((place for place in places if place), None)
    return "" if where is None or Path(where).resolve().is_relative_to(here.resolve()) else where


def described(error: BaseException) -> str:
    """Say in one line what failed in the user's own code, and where.

    Args:
        error: what was raised.

    Returns:
        The type and the text, which Keras spreads over several lines; the error that it came from; the last
        line of the user's own code that it passed.
    """
    said = _in_one_line(error)
    if error.__cause__ is not None:
        said += f", caused by {_in_one_line(error.__cause__)}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_own(frame.filename)]
    if not frames:
        return said
    last = frames[-1]
    return f"{said} ({last.filename}, line {last.lineno}: {last.line})"


def _in_one_line(error: BaseException) -> str:
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    text = " ".join(plain.partition("Arguments received by")[0].split())
    return f"{type(error).__name__}: {text}"[:_LONGEST]


def _is_own(filename: str) -> bool:
    """Whether a file is neither Python's, nor a library's, nor Candor's."""
    path = Path(filename)
    installed = {"site-packages", "dist-packages"} & {*path.parts}
    return path.is_file() and not installed and not any(path.is_relative_to(folder) for folder in _OTHERS)


_LONGEST = 600
_ROOT = Path(__file__).resolve().parent.parent
_OTHERS = (
    Path(sysconfig.get_path("stdlib")),
    *(_ROOT / name for name in ("spaces", "search", "experiments", "reports")),
)
