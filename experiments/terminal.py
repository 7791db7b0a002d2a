"""What commands print: foreign text made harmless, and a reader that ends ends the command in order."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO, cast

import typer

from search.safety.streams import Unbreakable, never_fail
from search.safety.text import terminal


def echo(message: object = "", *, err: bool = False) -> None:
    """Print one message, of a bounded length and without control sequences."""
    typer.echo(terminal(str(message)), err=err)


@contextmanager
def safe_streams() -> Iterator[None]:
    """Let nothing that cannot be printed end a command in the middle, as long as the block runs."""
    never_fail()
    before = sys.stdout, sys.stderr
    sys.stdout = cast(TextIO, Unbreakable(before[0], _reader_ended))
    sys.stderr = cast(TextIO, Unbreakable(before[1]))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _reader_ended() -> None:
    """`| head` has ended: a study finishes its epochs as after SIGTERM; any other command ends here."""
    if callable(signal.getsignal(signal.SIGTERM)):
        os.kill(os.getpid(), signal.SIGTERM)
    elif threading.current_thread() is threading.main_thread():
        raise BrokenPipeError("nobody reads what is printed")
