"""The families of architectures: one file for each, named as the family is.

Nothing else lists them: `spaces.family` finds them by their file names. CANDOR_FAMILIES names folders with
families of your own, separated as in PATH. Family modules import Keras inside `build` alone.
"""

import os

__all__ = ["find_folders"]


def find_folders() -> list[str]:
    """Where families are looked for: this folder, then those of CANDOR_FAMILIES as it is now.

    Returns:
        Folders; the package finds its modules in them from now on.
    """
    for folder in os.environ.get("CANDOR_FAMILIES", "").split(os.pathsep):
        if folder and folder not in __path__:
            __path__.append(folder)
    return list(__path__)
