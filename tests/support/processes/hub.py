"""A real hub in a process of its own, as a person starts it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EXPERIMENT = """\
question = "Do the workers share the work?"
space = "plain_cnn"

[fix]
kernels = [4, 4]
neurons = [8]

[grid]
dropout = [0.0, 0.1]

[protocol]
epochs = 1
seeds = 3

[data]
source = "synthetic"
limit = 200
"""


def candor(*words: str, **environment: str) -> "subprocess.Popen[str]":
    """Start a command; its output comes through a pipe."""
    command = [sys.executable, "-P", "-m", "experiments", *words]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("CANDOR_", "MLFLOW_"))}
    return subprocess.Popen(
        command, env={**clean, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for(process: "subprocess.Popen[str]", words: str, seconds: float = 240) -> str:
    """Read what a process prints until a line holds these words; everything that was read."""
    assert process.stdout is not None
    lines, end = [], time.monotonic() + seconds
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return "".join(lines)
        assert time.monotonic() < end, "".join(lines)
    raise AssertionError("".join(lines) or "it printed nothing")


@contextmanager
def running(workspace: Path, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """A hub that is ready, stopped as Ctrl-C does it."""
    process = candor("hub", "--workspace", str(workspace), *options)
    try:
        wait_for(process, "Ctrl-C stops the hub")
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=120)


def holders(folder: Path) -> list[str]:
    """The command lines of processes that name this folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line and int(file.parent.name) != os.getpid():
            found.append(line)
    return found
