"""The coordinator's side of the fork server: start children, talk to them, learn how they ended."""

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path

from search.safety.import_path import python_command, safe_environment


@dataclass(frozen=True)
class Ending:
    """How a child ended. peak_mib: its largest resident set."""

    code: int  # exit code, or minus the signal's number
    peak_mib: float

    def __str__(self) -> str:
        if self.code >= 0:
            return f"exit code {self.code}"
        return f"killed by {signal.Signals(-self.code).name}"


_OBEY_SECONDS = 5
#: Compiled steps of a thousand networks or so; the least recently used go first.
_COMPILED_BYTES = 2**29
#: How a child ended whose server was killed: it went with it, and the cause is not its own.
SERVER_DIED = Ending(-signal.SIGKILL, 0.0)


class Child:
    """One forked process. `pipe` speaks the trial protocol."""

    def __init__(self, server: "_Process", identity: int, pipe: Connection) -> None:
        self.pipe = pipe
        self._server = server
        self._identity = identity
        self.pid: int | None = None  # known shortly after the fork
        self._ending: Ending | None = None
        self._ended = threading.Event()

    def kill(self) -> None:
        """End it now (SIGKILL)."""
        self._server.request({"kill": self._identity})

    def end(self) -> None:
        """See to it that it is gone. A server that does not obey is hung, and goes too."""
        self.kill()
        if self.wait(_OBEY_SECONDS) is None:
            self._server.process.kill()
            self.wait(_OBEY_SECONDS)
        self.pipe.close()

    def wait(self, seconds: float | None = None) -> Ending | None:
        """How it ended; None when it has not within the time given."""
        self._ended.wait(seconds)
        return self._ending

    def ended(self, ending: Ending) -> None:
        """Take note of the ending: called by the server's reader."""
        self._ending = ending
        self._ended.set()


class _Process:
    """One server process with the children that it forked."""

    def __init__(self, process: "subprocess.Popen[bytes]", control: socket.socket) -> None:
        self.process = process
        self.control = control
        self.children: dict[int, Child] = {}
        self.ready = threading.Event()  # Keras is imported, or the process is gone
        self.gone = False

    def request(self, message: dict[str, int]) -> None:
        """Send a request; a server that is gone has killed its children already."""
        with contextlib.suppress(OSError):
            self.control.send(json.dumps(message).encode())

    def fork(self, identity: int) -> Child:
        """A new child. Raises OSError where the server has just died."""
        ours, theirs = socket.socketpair()
        child = self.children[identity] = Child(self, identity, Connection(ours.detach()))
        with theirs:
            try:
                socket.send_fds(self.control, [json.dumps({"fork": identity}).encode()], [theirs.fileno()])
            except OSError:
                self.children.pop(identity, None)
                child.pipe.close()
                raise
        return child

    def listen(self) -> None:
        """Pass on what the server says until it is gone; then every child is gone with it."""
        while packet := self._packet():
            message = json.loads(packet)
            if "ready" in message:
                self.ready.set()
            elif "forked" in message:
                self.children[message["forked"]].pid = message["pid"]
            elif "ended" in message:
                ending = Ending(os.waitstatus_to_exitcode(message["status"]), message["peak_kib"] / 1024)
                self.children.pop(message["ended"]).ended(ending)
        self.gone = True  # before the wait, which takes seconds on a busy machine: nobody is to ask it again
        self.ready.set()
        self.process.kill()  # it has closed its end: whatever is left of it is of no use
        self.process.wait()
        self.control.close()
        for child in list(self.children.values()):
            child.ended(SERVER_DIED)

    def _packet(self) -> bytes:
        try:
            return self.control.recv(4096)
        except OSError:
            return b""


class ForkServer:
    """Starts the server process when a child is first asked for, and again should it die.

    body: the module whose `run(pipe)` a child runs. inherit: open files that the server and its children
    keep; a lock among them is held until the last of them is gone. compiled: where JAX keeps the steps that
    it compiled, so that seeds of one architecture share them; None: each child compiles its own.
    """

    def __init__(
        self,
        log: Path,
        body: str = "search.training.evaluate",
        inherit: Sequence[int] = (),
        compiled: Path | None = None,
    ) -> None:
        self._log = log
        self._body = body
        self._inherit = tuple(inherit)
        self._shared = shared(compiled) if compiled else {}
        self._lock = threading.Lock()
        self._identities = itertools.count()
        self._current: _Process | None = None
        self._listener: threading.Thread | None = None

    @property
    def pid(self) -> int | None:
        """The process that forks; None when none runs."""
        current = self._current
        return None if current is None or current.gone else current.process.pid

    def start(self) -> None:
        """Begin to import Keras in the background; returns at once."""
        with self._lock:
            self._running()

    def wait_until_ready(self, seconds: float | None = None) -> bool:
        """Whether Keras is imported. False also when the server could not start: see its log."""
        current = self._current
        return current is not None and current.ready.wait(seconds) and not current.gone

    def fork(self) -> Child:
        """A new child, ready to be sent its task."""
        with self._lock:
            while True:
                running = self._running()
                try:
                    return running.fork(next(self._identities))
                except OSError:  # it has just died, and its listener has not yet noticed: start another
                    running.gone = True

    def close(self) -> None:
        """End the server and every child."""
        if self._current is not None:
            with contextlib.suppress(OSError):
                self._current.control.shutdown(socket.SHUT_RDWR)
        if self._listener is not None:
            self._listener.join(10)

    def _running(self) -> _Process:
        if self._current is not None and not self._current.gone:
            return self._current
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with theirs, self._log.open("ab") as log:
            process = subprocess.Popen(
                python_command("search.execution.fork_server", "main", [str(theirs.fileno()), self._body]),
                pass_fds=[theirs.fileno(), *self._inherit],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**self._shared, **safe_environment(), "TF_CPP_MIN_LOG_LEVEL": "2"},
            )
        self._current = _Process(process, ours)
        self._listener = threading.Thread(target=self._current.listen, name="fork-server", daemon=True)
        self._listener.start()
        return self._current


def shared(compiled: Path) -> dict[str, str]:
    """What JAX reads as it is imported; a user's own settings go before. Its bound needs filelock."""
    if find_spec("filelock") is None:
        return {}
    return {
        "JAX_COMPILATION_CACHE_DIR": str(compiled),
        "JAX_COMPILATION_CACHE_MAX_SIZE": str(_COMPILED_BYTES),
    }


class Spare:
    """A child that is forked before there is a task for it: by then it is ready."""

    def __init__(self, server: ForkServer) -> None:
        self._server = server
        self._child: Child | None = None

    def prepare(self) -> None:
        """Fork one, unless there is one that lives."""
        if self._child is None or self._child.wait(0) is not None:
            self.end()
            self._child = self._server.fork()

    def take(self) -> Child:
        """The child that was prepared, or another."""
        self.prepare()
        child, self._child = self._child, None
        assert child is not None  # noqa: S101
        return child

    def end(self) -> None:
        """See to it that none is left."""
        if self._child is not None:
            self._child.end()
            self._child = None
