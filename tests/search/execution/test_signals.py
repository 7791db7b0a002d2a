"""Signals are heard whatever the main thread is doing just then."""

import signal
import subprocess
import sys

TALKS = """
import sys, threading
from search.execution.signals import hearing_signals
lock = threading.Lock()
told = []

def stop():
    with lock:
        print("told", flush=True)
        told.append(1)

with hearing_signals(stop):
    print("begun", flush=True)
    while len(told) < 20:
        with lock:
            print("x" * 5000, flush=True)
print("in order", flush=True)
"""


def test_signals_disturb_neither_a_lock_nor_a_line_that_is_being_printed() -> None:
    """Twenty in quick succession, to a process that always prints and always holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", TALKS], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        heard = 0
        while heard < 20:
            process.send_signal(signal.SIGTERM)
            while "told" not in process.stdout.readline():
                assert process.poll() is None
            heard += 1
        assert process.stdout.read().splitlines()[-1] == "in order"
        assert process.wait(60) == 0
