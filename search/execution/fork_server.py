"""A process that has imported Keras once, has run no operation, and forks a child for each evaluation.

A forked child is ready in hundredths of a second, where a cold import takes ten. The server is not
`multiprocessing`'s: that one pickles its requests, runs the caller's main module again in each
child, and keeps children alive past the coordinator. This one is the real parent of its children,
so it reaps them with their exit status and peak memory, and it kills them all as soon as the
coordinator's end of the control socket closes, however that came about. It lives in a session of
its own, so that Ctrl-C in a terminal reaches the coordinator alone.

Control socket (SOCK_SEQPACKET, JSON):
    coordinator -> server   {"fork": id} with the child's end of its pipe attached;  {"kill": id}
    server -> coordinator   {"ready": true};  {"forked": id, "pid": n};
                            {"ended": id, "status": wait status, "peak_kib": n}
"""

import contextlib
import ctypes
import importlib
import json
import os
import select
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn

from search.execution.backend import keras_backend

_PR_SET_PDEATHSIG = 1
#: TensorFlow and Keras import these where they find them, for parts that no evaluation uses: a third of the
#: time that their own import takes.
_UNUSED = frozenset({"jax", "sklearn"})


def serve(control: socket.socket, body: str) -> NoReturn:
    """Fork children on request until the coordinator is gone. body: the module whose `run` they run."""
    with _ending_with(control), hidden(_UNUSED - {keras_backend()}):
        child = importlib.import_module(body)  # imports Keras: this is what the server is for
    waker = _wake_on_child_exit()
    control.send(b'{"ready": true}')
    children: dict[int, int] = {}  # pid -> id
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        selector.register(waker, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select()]
            if waker in ready:
                waker.recv(4096)
                _reap(control, children)
            if control in ready and not _obey(control, children, child.run):
                _kill_all(children)
                os._exit(0)  # at once: what TensorFlow tears down at an ordinary end takes seconds


@contextlib.contextmanager
def hidden(packages: Iterable[str]) -> Iterator[None]:
    """Let nobody find these packages while the block runs; afterwards they can be imported as ever.

    Args:
        packages: Their names. Those that are imported already stay.
    """
    absent = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None: an import says "not found"
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


@contextlib.contextmanager
def _ending_with(control: socket.socket) -> Iterator[None]:
    """End this process should the coordinator go while the block runs, which takes long and asks nobody.

    Else it would hold the lock of a workspace that nobody uses. The thread is over before anything is forked.
    """
    over = threading.Event()

    def watch() -> None:
        gone = select.poll()
        gone.register(control, select.POLLHUP)
        while not over.wait(0.1):
            if gone.poll(0):
                os._exit(0)

    watcher = threading.Thread(target=watch, name="coordinator", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _wake_on_child_exit() -> socket.socket:
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer.detach(), warn_on_full_buffer=False)
    return reader


def _obey(control: socket.socket, children: dict[int, int], run: object) -> bool:
    """Do what one request says; False when the coordinator is gone."""
    try:
        request, descriptors, _, _ = socket.recv_fds(control, 4096, 1)
    except ConnectionResetError:
        return False
    if not request:
        return False
    message = json.loads(request)
    if "fork" in message:
        pid = os.fork()
        if pid == 0:
            _become_child(control, descriptors[0], run)
        os.close(descriptors[0])
        children[pid] = message["fork"]
        _tell(control, {"forked": message["fork"], "pid": pid})
    elif "kill" in message:
        for pid, identity in children.items():
            if identity == message["kill"]:
                os.kill(pid, signal.SIGKILL)
    return True


def _become_child(control: socket.socket, descriptor: int, run: object) -> None:
    """In the child: forget the server, run one evaluation, end."""
    status = 1
    try:
        server = os.getppid()
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != server:  # the server died before the line above
            os._exit(1)
        with contextlib.suppress(OSError):  # should memory run out, a child is to go, not its coordinator
            Path("/proc/self/oom_score_adj").write_text("500")
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        control.close()
        assert callable(run)  # noqa: S101
        run(Connection(descriptor))
        status = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _reap(control: socket.socket, children: dict[int, int]) -> None:
    while children:
        pid, status, usage = os.wait4(-1, os.WNOHANG)
        if pid == 0:
            return
        _tell(control, {"ended": children.pop(pid), "status": status, "peak_kib": usage.ru_maxrss})


def _tell(control: socket.socket, message: dict[str, int]) -> None:
    try:
        control.send(json.dumps(message).encode())
    except OSError:  # the coordinator is gone: the next read says so and ends the server
        return


def _kill_all(children: dict[int, int]) -> None:
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def main(arguments: Sequence[str]) -> NoReturn:
    """Serve on an inherited socket: its descriptor and the body's module are the arguments."""
    descriptor, body = arguments
    serve(socket.socket(fileno=int(descriptor)), body)
