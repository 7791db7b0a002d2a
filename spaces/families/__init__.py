"""The families of architectures: one file for each, named as the family is.

Nothing else lists them: `spaces.family` finds them by their file names. CANDOR_FAMILIES names folders with
families of your own, separated as in PATH. Family modules import Keras inside `build` alone.

A family module offers:

- `Architecture`: a frozen dataclass, one network of the family. `VARIANTS`: some of them by name.
- `sample(hp)`: draws an `Architecture` from Keras Tuner's hyperparameters. `COUNTS`: which of these
  say how long a list is.
- `build(architecture, input_shape, num_classes)`: a Keras model from images in [0, 1] to float32
  probabilities.
- `facts(architecture)`: numbers for the tables, such as {"conv_stages": 4}.
- `label(architecture)`: one line that tells it apart, such as "VGG 2x(64-128-256-512) · 4096-4096".
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
