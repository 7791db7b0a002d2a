"""Ctrl-C and SIGTERM, heard without interrupting whatever the main thread is doing."""

import contextlib
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def hearing_signals(told: Callable[[], None]) -> Iterator[None]:
    """Call `told` once for each SIGINT or SIGTERM within the block, one at a time, in a thread of its own.

    A handler runs in the middle of the main thread, which may just be printing or hold a lock (in an earlier
    call of the same handler, if two signals come quickly): there it could neither print nor take that lock.
    """
    signals: queue.SimpleQueue[bool] = queue.SimpleQueue()  # whose put may interrupt a put

    def listen() -> None:
        while signals.get():
            with contextlib.suppress(OSError, ValueError):  # what `told` cannot print: the next one is heard
                told()

    listener = threading.Thread(target=listen, name="signals", daemon=True)
    listener.start()
    before = {
        number: signal.signal(number, lambda *_: signals.put(True))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signals.put(False)
        listener.join()
