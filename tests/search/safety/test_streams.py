"""A terminal that lacks letters, and a reader that ends, never break a command in the middle."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from search.safety.streams import Unbreakable

ROOT = Path(__file__).parents[3]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", **more}


def command(*words: str) -> list[str]:
    return [sys.executable, "-c", "from experiments.cli import main; main()", *words]


@pytest.mark.parametrize("encoding", ["iso-8859-1", "ascii", "utf-8"])
def test_every_encoding_can_show_the_list(encoding: str) -> None:
    done = subprocess.run(
        command("list"), capture_output=True, env=environment(PYTHONIOENCODING=encoding), timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert b"joint" in done.stdout
    done.stdout.decode(encoding)


def test_a_message_with_letters_that_the_terminal_lacks_is_printed(tmp_path: Path) -> None:
    done = subprocess.run(
        command("search", str(tmp_path / "高兴\x1b[31m.toml")),
        capture_output=True,
        env=environment(PYTHONIOENCODING="iso-8859-1"),
        timeout=120,
    )
    assert done.returncode == 2
    assert rb"\u9ad8\u5174\x1b[31m.toml" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_reader_that_has_ended_is_no_traceback() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as stdout:
        done = subprocess.run(
            command("list"), stdout=stdout, stderr=subprocess.PIPE, env=environment(), timeout=120
        )
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr


def test_a_study_that_nobody_reads_is_asked_to_end() -> None:
    """The signal that ends a study in order is sent once, whichever thread prints; the rest goes nowhere."""
    script = """
import os, signal, threading, time
from experiments.terminal import echo, safe_streams
from search.execution.signals import hearing_signals
heard = []
with safe_streams(), hearing_signals(lambda: (heard.append(1), echo("ending"))):
    threads = [threading.Thread(target=lambda: [echo("line " * 100) for _ in range(2000)]) for _ in range(3)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    time.sleep(0.5)
os._exit(40 + len(heard))
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"line")
        process.stdout.close()
        process.wait(60)
    assert process.returncode == 41


def test_a_full_disk_stops_nothing() -> None:
    broken: list[str] = []
    with Path("/dev/full").open("w") as full:
        stream = Unbreakable(full, lambda: broken.append(threading.current_thread().name))
        for _ in range(3):
            stream.write("x" * 100_000)
            stream.flush()
    assert broken == [threading.current_thread().name]
    assert signal.getsignal(signal.SIGPIPE) != signal.SIG_DFL
