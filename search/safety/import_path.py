"""What Python processes of Candor may import: installed packages, and no module of the current folder."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

#: The folder of Candor's own packages.
_OWN: Final = Path(__file__).resolve().parents[2]
#: Sets the search path before anything else is imported, then runs one function of one module. Candor's
#: packages come first: the folder of a script that called Candor may hold others of these names.
_START: Final = (
    "import sys, json; own, *path = json.loads(sys.argv[1]); sys.path[:] = [own, *path]; "
    "import search, spaces; sys.path[:] = path; from importlib import import_module; "
    "sys.exit(getattr(import_module(sys.argv[2]), sys.argv[3])(sys.argv[4:]))"
)


def safe_path() -> list[str]:
    """This process's search path without the current folder, except where Candor itself lies in it."""
    return [entry for entry in sys.path if not _is_current(entry)]


def forget_current_folder() -> None:
    """Take the current folder out of the search path, where an empty entry of PYTHONPATH puts it."""
    sys.path[:] = safe_path()


def safe_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a Python process that is started by name, such as `python -m mlflow`.

    Args:
        more: further variables.
    """
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    kept = os.pathsep.join(entry for entry in entries if entry and not _is_current(entry))
    environment = {**os.environ, "PYTHONSAFEPATH": "1", **(more or {})}
    environment.pop("PYTHONPATH", None)
    return {**environment, "PYTHONPATH": kept} if kept else environment


def python_command(module: str, function: str, arguments: Sequence[str]) -> list[str]:
    """The command of a Python process that calls one function with a list of texts, found on the safe path.

    Args:
        module: where the function is.
        function: takes the arguments as a list; what it returns becomes the exit code.
        arguments: texts.
    """
    start = [sys.executable, "-I", "-u", "-c", _START, json.dumps([str(_OWN), *safe_path()])]
    return [*start, module, function, *arguments]


def _is_current(entry: str) -> bool:
    try:
        here = Path.cwd().resolve()
        folder = Path(entry).resolve()
    except (OSError, RuntimeError):  # the current folder was removed, or links lead in a circle
        return entry in ("", ".")
    return folder == here and folder != _OWN
