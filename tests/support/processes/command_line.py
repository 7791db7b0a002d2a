"""`candor` as a person types it: in a process of its own, or in this one, which takes no time."""

import contextlib
import io
import subprocess
import sys
from dataclasses import dataclass
from unittest import mock

from experiments import cli


def candor(*arguments: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
    """Run a command in a new process to its end, whatever that is."""
    command = [sys.executable, "-m", "experiments", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


@dataclass(frozen=True)
class Ended:
    """How a command ended in this process."""

    returncode: object
    stdout: str
    stderr: str


def candor_here(*arguments: str) -> Ended:
    """Run a command in this process. An error that a person would see as a traceback is raised."""
    stdout, stderr = io.StringIO(), io.StringIO()
    code: object = 0
    with (
        mock.patch.object(sys, "argv", ["candor", *arguments]),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code or 0
    return Ended(code, stdout.getvalue(), stderr.getvalue())
