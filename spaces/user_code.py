"""Code of the user's own that an experiment file names as "package.module:name". Imports no Keras."""

import importlib
import os
import sys
from typing import Any

from spaces.errors import UserError
from spaces.family import nearest


def imported(name: str) -> Any:
    """Import what "package.module:name" names.

    Args:
        name: a module and a name in it; the module is found in the current folder too.

    Returns:
        The object.

    Raises:
        UserError: if there is no such module or name, or the module does not import.
    """
    module_name, _, attribute = name.partition(":")
    if os.getcwd() not in sys.path:  # noqa: PTH109 - entries of sys.path are strings
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if f"{module_name}.".startswith(f"{error.name}."):
            reason = f"There is no module {module_name!r}: start in the folder that holds it."
        else:
            reason = f"{module_name} imports {error.name}, which is not installed."
        raise UserError(reason) from error
    if not hasattr(module, attribute):
        public = [known for known in vars(module) if not known.startswith("_")]
        raise UserError(f"{module_name} has no {attribute!r}: {nearest(attribute, public)}.")
    return getattr(module, attribute)
