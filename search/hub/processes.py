"""Server processes that end with the hub, however it ends, and that PostgreSQL's rule on root allows."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from spaces.errors import UserError

Process = subprocess.Popen[bytes]
_ENDS_WITH_PARENT = ["setpriv", "--pdeathsig=TERM", "--"]


def start(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Process:
    """Start a server whose output goes to a file, in a session of its own: Ctrl-C does not reach it.

    Args:
        command: the program and its arguments.
        log: the file that its output is added to.
        environment: its variables, beside this process's own.

    Returns:
        The process. The kernel sends it SIGTERM (PostgreSQL under root SIGINT) when the hub's process dies.
    """
    ends_with_us = [] if command[0] == "setpriv" or not shutil.which("setpriv") else _ENDS_WITH_PARENT
    with log.open("ab") as output:
        return subprocess.Popen(
            [*ends_with_us, *command],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def stop(process: Process, number: int = signal.SIGTERM, seconds: float = 60.0) -> None:
    """End a server and all processes of its session.

    Args:
        process: what `start` returned.
        number: the signal that asks it to end.
        seconds: how long it may take; then it is killed.
    """
    if process.poll() is None:
        process.send_signal(number)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def as_ordinary_user(folder: Path) -> list[str]:
    """Return what a command of PostgreSQL begins with, which refuses to run as root.

    Args:
        folder: the folder that it writes to; root gives it to the other user.

    Returns:
        Nothing for an ordinary user. For root, `setpriv` to the user `postgres` (or `nobody`), who may still
        pass through root's folders to this one.

    Raises:
        UserError: where root has no `setpriv`.
    """
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        raise UserError("PostgreSQL does not run as root, and setpriv is missing: use another user")
    user = _other_user()
    os.chown(folder, user.pw_uid, user.pw_gid)
    passing = "+dac_override,+dac_read_search"
    return [
        "setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups",
        f"--inh-caps={passing}", f"--ambient-caps={passing}", "--pdeathsig=INT", "--",
    ]  # fmt: skip


def free_port(host: str = "127.0.0.1") -> int:
    """Find a port that nobody listens on.

    Args:
        host: the address to listen on.

    Returns:
        Its number.
    """
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def is_free(host: str, port: int) -> bool:
    """Tell whether a server could listen there.

    Args:
        host: the address to listen on.
        port: its number, from 1 to 65535.

    Returns:
        Whether the port is free.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _other_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")
