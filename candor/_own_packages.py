"""Finds Candor's own packages, whatever the current folder holds.

Notebooks, scripts and `python -c` look for modules in the current folder or the script's folder first. A
project with a folder `reports` or a file `search.py` would hide Candor's packages of these names.
"""

import sys
from importlib import import_module
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parents[1]
_PACKAGES: Final = ("spaces", "search", "reports", "experiments")


def import_own_packages() -> None:
    """Import the four packages that lie beside this one, under their names.

    Raises:
        ImportError: if this process has imported another module of such a name before.
    """
    for name in _PACKAGES:
        loaded = sys.modules.get(name)
        if loaded is not None and not _is_own(loaded, name):
            place = getattr(loaded, "__file__", None) or next(
                iter(getattr(loaded, "__path__", ())), "unknown place"
            )
            raise ImportError(
                f"Candor has a package {name!r}, and this process has imported another one before ({place}): "
                "import candor first, or rename yours.",
                name=name,
            )
    sys.path.insert(0, str(_ROOT))
    try:
        for name in _PACKAGES:
            import_module(name)
    finally:
        sys.path.remove(str(_ROOT))


def _is_own(module: object, name: str) -> bool:
    folders = [Path(folder).resolve() for folder in getattr(module, "__path__", ())]
    return folders == [_ROOT / name]
