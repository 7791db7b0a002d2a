"""Children come from a server that has imported Keras, end with their coordinator, and say how."""

import os
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest

from search.execution.backend import keras_backend
from search.execution.fork_client import Child, ForkServer, Spare
from search.execution.fork_server import hidden
from search.execution.messages import (
    Failed,
    receive,
    send,
)
from search.workspace import Workspace
from spaces.errors import UserError
from tests.support.processes.tasks import small_task
from tests.support.studies import small_study


def _pid_of(child: Child) -> int:
    for _ in range(6000):
        if child.pid is not None:
            return child.pid
        time.sleep(0.01)
    raise AssertionError("the server never told the child's process number")


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _gone(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while _alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not _alive(pid)


def test_a_users_mistake_comes_back_as_one_sentence(server: ForkServer, tmp_path: Path) -> None:
    """A child that meets a UserError tells it and ends in order."""
    child = server.fork()
    send(child.pipe, small_task(dataset=str(tmp_path / "missing"), folder=str(tmp_path)))
    answer = receive(child.pipe)
    assert isinstance(answer, Failed)
    assert (answer.kind, answer.detail) == ("user", "")
    ending = child.wait(60)
    assert ending is not None
    assert (ending.code, ending.peak_mib > 50) == (0, True)


def test_what_no_evaluation_uses_is_not_imported_with_keras(server: ForkServer) -> None:
    """TensorFlow and Keras would import JAX and scikit-learn, in a third of the time that they take."""
    libraries = Path(f"/proc/{server.pid}/maps").read_text()
    backend = keras_backend()
    assert {"tensorflow": "/tensorflow/", "jax": "/jaxlib/"}[backend] in libraries
    assert "/sklearn/" not in libraries
    assert backend == "jax" or "/jaxlib/" not in libraries


def test_what_is_hidden_can_be_imported_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "seldom_used.py").write_text("answer = 42")
    monkeypatch.syspath_prepend(str(tmp_path))
    with hidden(["seldom_used", "json"]):
        import_module("json")  # it was imported before
        with pytest.raises(ModuleNotFoundError):
            import_module("seldom_used")
    assert import_module("seldom_used").answer == 42


def test_a_killed_child_says_which_signal_ended_it(server: ForkServer) -> None:
    """The coordinator learns of a signal, and the server serves on."""
    child = server.fork()
    os.kill(_pid_of(child), signal.SIGSEGV)
    ending = child.wait(60)
    assert str(ending) == "killed by SIGSEGV"
    other = server.fork()
    other.kill()
    assert str(other.wait(60)) == "killed by SIGKILL"


def test_a_spare_is_forked_once_replaced_when_it_has_died_and_ended_when_nobody_took_it(
    server: ForkServer,
) -> None:
    """A child waits for its task; none is left behind."""
    spare = Spare(server)
    spare.prepare()
    spare.prepare()
    first = spare.take()
    spare.prepare()
    second = spare.take()
    assert _pid_of(first) != _pid_of(second)
    for child in (first, second):
        child.end()
    spare.prepare()
    doomed = spare._child
    assert doomed is not None
    os.kill(_pid_of(doomed), signal.SIGKILL)
    assert doomed.wait(60) is not None
    spare.prepare()
    replaced = spare._child
    assert replaced is not None
    assert replaced is not doomed
    assert _alive(_pid_of(replaced))
    spare.end()
    spare.end()
    assert _gone(_pid_of(replaced), 10)


def test_a_server_that_dies_takes_its_children_along_and_is_replaced(tmp_path: Path) -> None:
    """Nothing trains on behind the coordinator's back, and the next child starts a new server."""
    server = ForkServer(tmp_path / "children.log", small_study.BODY)
    child = server.fork()
    pid = _pid_of(child) if server.wait_until_ready(240) else 0
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    assert child.wait(60) is not None
    assert _gone(pid, 60)
    replaced = server.fork()
    assert server.wait_until_ready(240)
    assert _alive(_pid_of(replaced))
    server.close()
    assert _gone(_pid_of(replaced), 60)


def test_a_server_that_takes_long_to_die_is_asked_for_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine a killed process is there for seconds; what is forked meanwhile is to live."""
    server = ForkServer(tmp_path / "children.log", small_study.BODY)
    assert _alive(_pid_of(server.fork()))
    died = server._current
    assert died is not None
    reaped = died.process.wait

    def slowly(timeout: float | None = None) -> int:
        time.sleep(5)
        return reaped(timeout)

    monkeypatch.setattr(died.process, "wait", slowly)
    os.kill(died.process.pid, signal.SIGKILL)
    assert _gone(died.process.pid, 60)
    children = [server.fork() for _ in range(2)]
    assert all(_alive(_pid_of(child)) for child in children)
    assert server.pid not in (None, died.process.pid)
    server.close()


def test_nothing_outlives_a_coordinator_that_is_killed(tmp_path: Path) -> None:
    """kill -9 on the coordinator ends the server and its children within seconds."""
    program = (
        "import sys, time; from pathlib import Path; from search.execution.fork_client import ForkServer\n"
        f"server = ForkServer(Path({str(tmp_path / 'log')!r}), {small_study.BODY!r}); child = server.fork()\n"
        "server.wait_until_ready(240)\n"
        "while child.pid is None: time.sleep(0.01)\n"
        "print(server.pid, child.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as coordinator:
        assert coordinator.stdout is not None
        pids = [int(pid) for pid in coordinator.stdout.readline().split()]
        assert len(pids) == 2
        assert all(_alive(pid) for pid in pids)
        coordinator.kill()
    assert [_gone(pid, 60) for pid in pids] == [True, True]


HOLDER = """
import sys, time
from pathlib import Path
from search.execution.fork_client import ForkServer
from search.workspace import Workspace

workspace = Workspace.at(Path(sys.argv[1]))
with workspace.lock() as held:
    ForkServer(workspace.logs / "children.log", "tests.support.processes.slow_body", (held,)).start()
    print("importing", flush=True)
    time.sleep(600)
"""


def test_a_server_that_imports_does_not_hold_the_workspace_of_a_dead_coordinator(tmp_path: Path) -> None:
    """Killed with -9 in the first seconds: the next start need not wait until Keras is imported."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "importing\n"
        time.sleep(1.0)
        with pytest.raises(UserError, match="is in use by process"), Workspace.at(tmp_path).lock(0.2):
            pass
        holder.kill()
    with Workspace.at(tmp_path).lock(30):
        pass
