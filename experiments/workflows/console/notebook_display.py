"""Shows a live table in a notebook: one output that changes, and goes when the work is over."""

import contextvars
import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

from rich.console import Console, RenderableType

_SECONDS: Final = 1.0  # between two drawings
_WIDTH: Final = 110  # characters
_FORMAT: Final = '<pre style="white-space:pre;overflow-x:auto;line-height:normal">{code}</pre>'


@contextmanager
def live_in_notebook(render: Callable[[], RenderableType]) -> Iterator[None]:
    """Draw what `render` gives once a second until the block ends. Needs IPython, and no widgets.

    Args:
        render: gives the picture of the moment; it is called in a thread of its own.
    """
    ipython: Any = import_module("IPython.display")  # a notebook has it; Candor does not require it
    output = ipython.display(ipython.HTML(_html(render())), display_id=True)
    over = threading.Event()

    def draw() -> None:
        while not over.wait(_SECONDS):
            output.update(ipython.HTML(_html(render())))

    # A thread begins with an empty context; the notebook's tells IPython which cell the output belongs to.
    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(draw,), name="notebook", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        output.update(ipython.HTML(""))


def _html(picture: RenderableType) -> str:
    console = Console(
        file=io.StringIO(), record=True, width=_WIDTH, force_jupyter=False, color_system="truecolor"
    )
    console.print(picture)
    return console.export_html(inline_styles=True, code_format=_FORMAT)
