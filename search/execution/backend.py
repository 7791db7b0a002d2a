"""Which backend Keras is going to use, without importing it."""

import json
import os
from pathlib import Path


def keras_backend() -> str:
    """Return the backend as Keras chooses it: KERAS_BACKEND, else the user's keras.json, else TensorFlow."""
    if named := os.environ.get("KERAS_BACKEND"):
        return named
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        found = json.loads((home / "keras.json").read_text()).get("backend")
    except (OSError, ValueError, AttributeError):
        found = None
    return found if isinstance(found, str) else "tensorflow"
