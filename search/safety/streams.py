"""Standard output that never ends a command: what cannot be written is not written."""

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO


def never_fail() -> None:
    """Let this process's standard streams write the number of a letter that their encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def to_nowhere(*streams: TextIO) -> None:
    """Turn streams whose reader has ended to the null device, so that nothing that follows fails."""
    for stream in streams or (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


class Unbreakable:
    """A text stream whose reader may end: then `broken` is called once, and the rest goes nowhere.

    Args:
        stream: such as `sys.stdout`.
        broken: called in the thread that met it; it must neither raise nor print.
    """

    def __init__(self, stream: TextIO, broken: Callable[[], None] = lambda: None) -> None:
        self._stream = stream
        self._broken = broken
        self.is_broken = False

    def write(self, text: str) -> int:
        """Write, or not."""
        self._guarded(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        """Flush, or not."""
        self._guarded(self._stream.flush)

    def _guarded(self, act: Callable[..., Any], *arguments: Any) -> None:
        try:
            act(*arguments)
        except (OSError, ValueError):  # a reader that has ended, a full disk, a stream that was closed
            if not self.is_broken:
                self.is_broken = True
                to_nowhere(self._stream)
                self._broken()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
