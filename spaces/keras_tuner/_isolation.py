"""Other people's code imports and builds; seeds, precision and session stay the study's.

Imports Keras: only processes that build networks may import this module.
"""

import functools
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import keras

from spaces.errors import UserError

#: What takes `seed` when it is made: initializers of first weights, and what draws masks and noise.
_SEEDED: Final = (
    next(kind for kind in keras.initializers.GlorotUniform.__mro__ if "RandomInitializer" in kind.__name__),
    keras.random.SeedGenerator,
)


@contextmanager
def isolated(name: str) -> Iterator[None]:
    """Let the hypermodel of this name run, but neither seeds of its own nor `clear_session`.

    Keras takes the seeds of first weights and of dropout from Python's generator, unless a layer or an
    initializer is given a number: seeded by the hypermodel, all evaluations of a candidate would begin with
    the same weights and look steadier than they are.
    `clear_session` forgets the precision, and the scope in which networks are counted before they are built.
    Raises UserError where the precision is another one afterwards.
    """
    precision = keras.config.dtype_policy()
    clear = keras.utils.clear_session
    own: list[tuple[Any, str, Any]] = [(random, "seed", random.seed)]
    for module in list(sys.modules.values()):
        if getattr(module, "__dict__", {}).get("clear_session") is clear:
            own.append((module, "clear_session", clear))
    seeded = [(kind, "__init__", kind.__init__) for kind in _SEEDED]
    for place, attribute, _ in own:
        setattr(place, attribute, _nothing)
    for kind, attribute, init in seeded:
        setattr(kind, attribute, _unseeded(init))
    try:
        yield
        now = keras.config.dtype_policy()
    finally:
        for place, attribute, before in (*own, *seeded):
            setattr(place, attribute, before)
        keras.config.set_dtype_policy(precision)
    if now.name != precision.name:
        raise UserError(
            f"{name} sets the precision to {now.name}: leave that out, protocol.precision decides it "
            f"({precision.name} here)."
        )


def _nothing(*_: Any, **__: Any) -> None:
    pass


def _unseeded(init: Callable[..., None]) -> Callable[..., None]:
    """The same, where a number is no seed."""

    @functools.wraps(init)
    def without(self: Any, seed: Any = None, *args: Any, **options: Any) -> None:
        init(self, None if isinstance(seed, int) else seed, *args, **options)

    return without
