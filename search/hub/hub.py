"""Runs a hub: both servers in order, watched, stopped in order, and found again after a crash."""

import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url

from search.execution.signals import hearing_signals
from search.hub import processes
from search.hub.address import FILE, Hub
from search.hub.mlflow_server import MlflowServer, answers
from search.hub.postgres import STUDIES, Postgres
from search.workspace import Workspace, locked
from spaces.errors import UserError

USER = "candor"
LOCAL = "127.0.0.1"
_LOCK = "hub.lock"
#: PostgreSQL's limit. A worker process was measured to hold at most five: 100 of them fit.
CONNECTIONS = 600
_WARN_SHARE = 0.8
_LOOK_SECONDS = 30.0
#: So many crashes of one server within so many seconds end the hub.
_CRASHES, _CRASH_SECONDS = 3, 120.0


@dataclass(frozen=True)
class Options:
    """What a user may ask of a hub.

    Args:
        host: the address to listen on, beside 127.0.0.1; "0.0.0.0" for all of this machine's.
        name: the host name or address that workers use, None to take this machine's.
        mlflow_port: None to keep the last one, or to take a free one.
        postgres_port: the same.
    """

    host: str = LOCAL
    name: str | None = None
    mlflow_port: int | None = None
    postgres_port: int | None = None


def serve(workspace: Workspace, options: Options, say: Callable[[str], None]) -> None:
    """Run the hub of a workspace until Ctrl-C or SIGTERM.

    Args:
        workspace: the folder that holds its data, `hub.toml` and its logs.
        options: addresses and ports.
        say: takes one line for the user.

    Raises:
        UserError: where the hub runs already, a port is taken, or a server does not start.
    """
    stopped = threading.Event()
    with _alone(workspace), hearing_signals(stopped.set):
        folder = workspace.folder / "hub"
        folder.mkdir(exist_ok=True)
        hub = _described(workspace.folder / FILE, options)
        _Servers(hub, folder, options).run(workspace.folder / FILE, stopped, say)


def used_connections(workspace: Workspace, hub: Hub) -> tuple[int, int]:
    """Count the connections to the hub's PostgreSQL.

    Args:
        workspace: the hub's, on this machine.
        hub: how to reach it.

    Returns:
        How many are open, and how many there may be.
    """
    port = make_url(hub.storage).port or 5432
    postgres = Postgres(workspace.folder / "hub" / "postgres", port, [LOCAL], CONNECTIONS)
    return postgres.used_connections(hub), CONNECTIONS


def state(workspace: Workspace) -> tuple[bool, str] | None:
    """Say how the hub of a workspace is.

    Args:
        workspace: a workspace on this machine.

    Returns:
        Whether it runs, and a line on it; None where the workspace has no hub.

    Raises:
        UserError: where its file is damaged, or readable by other users.
    """
    if not (workspace.folder / FILE).exists():
        return None
    hub = Hub.read(workspace.folder / FILE)
    if not answers(hub.tracking_uri):
        return False, f"it does not run; `candor hub --workspace {workspace.folder}` starts it"
    used, most = used_connections(workspace, hub)
    return True, f"MLflow at {hub.tracking_uri}, {used} of {most} connections to PostgreSQL in use"


def hub_ui(workspace: Path) -> str | None:
    """Find the MLflow pages of a workspace's hub.

    Args:
        workspace: a folder, whether it exists or not.

    Returns:
        The address; None where no hub runs or starts there.
    """
    if not (workspace / FILE).exists():
        return None
    with (workspace / _LOCK).open("a+") as file:
        if locked(file.fileno()):
            return None
    return Hub.read(workspace / FILE).tracking_uri


@contextmanager
def _alone(workspace: Workspace) -> Iterator[None]:
    """Keep a second hub out of the workspace. The kernel lets go of the lock however this process ends."""
    with (workspace.folder / _LOCK).open("a+") as file:
        if not locked(file.fileno()):
            raise UserError(f"a hub of {workspace.folder} is running already")
        yield


def _described(file: Path, options: Options) -> Hub:
    """The hub's addresses and password: those of its last start, where nothing else is asked for."""
    known = Hub.read(file) if file.exists() else None
    name = LOCAL if options.host == LOCAL else options.name or _own_name(options.host)
    last_mlflow = urlsplit(known.tracking_uri).port if known else None
    last_postgres = make_url(known.storage).port if known else None
    mlflow = _port(options.mlflow_port, last_mlflow, options.host, "--port")
    postgres = _port(options.postgres_port, last_postgres, options.host, "--postgres-port", mlflow)
    return Hub(
        storage=f"postgresql+psycopg://{USER}@{name}:{postgres}/{STUDIES}",
        tracking_uri=f"http://{name}:{mlflow}",
        user=USER,
        password=known.password if known else secrets.token_urlsafe(24),
    )


def _own_name(host: str) -> str:
    return socket.getfqdn() if host == "0.0.0.0" else host  # noqa: S104  compared, not bound


def _port(asked: int | None, last: int | None, host: str, option: str, taken: int | None = None) -> int:
    """Raises UserError where a port is taken that was asked for, or that workers know from the last start."""
    port = asked or last
    if port is None:
        found = processes.free_port()
        return found if found != taken else processes.free_port()
    if asked is not None and not processes.is_free(host, asked):
        raise UserError(f"port {asked} is taken: choose another with {option}")
    return port


class _Servers:
    """PostgreSQL and MLflow, started in this order and stopped in the other."""

    def __init__(self, hub: Hub, folder: Path, options: Options) -> None:
        self.hub = hub
        postgres, mlflow = make_url(hub.storage), urlsplit(hub.tracking_uri)
        hosts = [LOCAL] if options.host == LOCAL else [LOCAL, options.host]
        if options.host == "0.0.0.0":  # noqa: S104  asked for by name
            hosts = [options.host]
        names = dict.fromkeys([str(mlflow.hostname), "localhost", LOCAL, *hosts])
        self.database = Postgres(folder / "postgres", int(postgres.port or 0), hosts, CONNECTIONS)
        self.tracking = MlflowServer(
            folder,
            options.host,
            int(mlflow.port or 0),
            list(names),
            self.database.port,
            options.host != LOCAL,
        )

    def run(self, file: Path, stopped: threading.Event, say: Callable[[str], None]) -> None:
        self.database.create(self.hub.user, self.hub.password)
        self.hub.write(file)
        say(f"PostgreSQL starts on port {self.database.port}, MLflow on port {self.tracking.port} ...")
        postgres = self.database.start()
        try:
            self.database.wait(postgres, self.hub)
            mlflow = self.tracking.start(self.hub)
            try:
                self.tracking.wait(mlflow)
                self._introduce(file, say)
                mlflow, postgres = self._watch(mlflow, postgres, stopped, say)
            finally:
                processes.stop(mlflow)
        finally:
            processes.stop(postgres, signal.SIGINT)  # PostgreSQL's fast shutdown: nobody is waited for
        say("the hub has stopped; workers wait for it, and `candor hub` starts it again")

    def _introduce(self, file: Path, say: Callable[[str], None]) -> None:
        if self.tracking.passwords:
            say("Other machines can connect with the password in hub.toml. Nothing is encrypted.")
        else:
            say(
                "Only this machine can connect. PostgreSQL wants the password of hub.toml, MLflow none: "
                "every user of this machine can read and change its runs."
            )
        say(f"MLflow: {self.hub.tracking_uri}")
        say(f"On each machine:  candor worker EXPERIMENT --hub {file}")
        say("Ctrl-C stops the hub.")

    def _watch(
        self,
        mlflow: processes.Process,
        postgres: processes.Process,
        stopped: threading.Event,
        say: Callable[[str], None],
    ) -> tuple[processes.Process, processes.Process]:
        """Start again what crashes, and count connections, until the hub is to stop."""
        crashes: list[float] = []
        warned, looked = False, time.monotonic()
        while not stopped.wait(0.5):
            now = time.monotonic()
            if postgres.poll() is not None or mlflow.poll() is not None:
                crashes = [*(at for at in crashes if now - at < _CRASH_SECONDS), now]
                which, log = ("PostgreSQL", self.database.log) if postgres.poll() is not None else (
                    "the MLflow server", self.tracking.log,
                )  # fmt: skip
                if len(crashes) > _CRASHES:
                    raise UserError(f"{which} ends again and again: see {log}")
                say(f"{which} ended; it is started again (see {log})")
                if postgres.poll() is not None:
                    postgres = self.database.start()
                    self.database.wait(postgres, self.hub)
                if mlflow.poll() is not None:
                    processes.stop(mlflow)
                    mlflow = self.tracking.start(self.hub)
                    self.tracking.wait(mlflow)
            if now - looked > _LOOK_SECONDS and not warned:
                looked = now
                used = self.database.used_connections(self.hub)
                if used > _WARN_SHARE * CONNECTIONS:
                    warned = True
                    say(
                        f"{used} of {CONNECTIONS} connections to PostgreSQL are in use: give each worker "
                        "process more evaluations (--workers) in place of more processes"
                    )
        return mlflow, postgres
