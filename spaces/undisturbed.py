"""Other people's code imports and builds; seeds, precision and session stay the study's.

Imports Keras: only processes that build networks may import this module.
"""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from spaces.errors import UserError


@contextmanager
def undisturbed(name: str) -> Iterator[None]:
    """Let the hypermodel of this name run, but neither `random.seed` nor `clear_session`.

    Keras takes the seeds of first weights and of dropout from Python's generator: seeded by the hypermodel,
    all evaluations of a candidate would begin with the same weights and look steadier than they are.
    `clear_session` forgets the precision, and the scope in which networks are counted before they are built.
    Raises UserError where the precision is another one afterwards.
    """
    precision = keras.config.dtype_policy()
    clear = keras.utils.clear_session
    places: list[tuple[Any, str, Any]] = [(random, "seed", random.seed)]
    for module in list(sys.modules.values()):
        if getattr(module, "__dict__", {}).get("clear_session") is clear:
            places.append((module, "clear_session", clear))
    for place, attribute, _ in places:
        setattr(place, attribute, _nothing)
    try:
        yield
        now = keras.config.dtype_policy()
    finally:
        for place, attribute, own in places:
            setattr(place, attribute, own)
        keras.config.set_dtype_policy(precision)
    if now.name != precision.name:
        raise UserError(
            f"{name} sets the precision to {now.name}: leave that out, protocol.precision decides it "
            f"({precision.name} here)."
        )


def _nothing(*_: Any, **__: Any) -> None:
    pass
