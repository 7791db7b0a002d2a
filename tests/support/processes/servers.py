"""A real PostgreSQL and a real MLflow server for as long as a block lasts, on this machine alone."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def postgres_binaries() -> Path | None:
    """Where Debian, or PATH, has PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    return found[-1].parent if found else Path(on_path).parent if on_path else None


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def postgres(
    host: str = "127.0.0.1", network: str = "127.0.0.1/32", prefix: tuple[str, ...] = ()
) -> Iterator[str]:
    """A fresh server; its address for Optuna. prefix: a command to start it with (`ip netns exec NAME`)."""
    binaries = postgres_binaries()
    assert binaries is not None
    folder = Path(tempfile.mkdtemp(prefix="candor-postgres-"))
    command = [*prefix, *_as_postgres(folder)]
    port = free_port()

    def call(program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*command, str(binaries / program), *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")

    try:
        call("initdb", "-D", str(folder / "data"), "-U", "candor", "--auth=trust", "-N")
        with (folder / "data" / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {network} trust\n")
        options = f"-c listen_addresses={host} -p {port} -k {folder} -c max_connections=200"
        call("pg_ctl", "-D", str(folder / "data"), "-o", options, "-l", str(folder / "log"), "-w", "start")
        try:
            call("createdb", "-h", str(folder), "-p", str(port), "-U", "candor", "studies")
            yield f"postgresql+psycopg://candor@{host}:{port}/studies"
        finally:
            call("pg_ctl", "-D", str(folder / "data"), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _as_postgres(folder: Path) -> list[str]:
    """PostgreSQL refuses to run as root: become its own user, who must own the folder."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam("postgres")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


@contextmanager
def mlflow_server(
    folder: Path,
    host: str = "127.0.0.1",
    prefix: tuple[str, ...] = (),
    port: int | None = None,
    store: str | None = None,
) -> Iterator[str]:
    """An MLflow server, artifacts by proxy; its address. Ready when the block begins. store: else a file."""
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    store = store or f"sqlite:///{folder / 'mlflow.db'}"
    light = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [*prefix, sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", host]
    command += ["--port", str(port), "--backend-store-uri", store]
    command += ["--serve-artifacts", "--artifacts-destination", (folder / "artifacts").as_uri()]
    command += ["--allowed-hosts", "*"]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            command, env={**os.environ, **light}, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait_until_healthy(f"http://{host}:{port}/health", prefix, process)
            yield f"http://{host}:{port}"
        finally:
            os.killpg(process.pid, 15)
            process.wait(120)


def _wait_until_healthy(address: str, prefix: tuple[str, ...], process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 180
    program = f"import urllib.request; urllib.request.urlopen({address!r}, timeout=5)"
    while time.monotonic() < end and process.poll() is None:
        if prefix:
            done = subprocess.run([*prefix, sys.executable, "-c", program], capture_output=True, check=False)
            if done.returncode == 0:
                return
        else:
            try:
                urllib.request.urlopen(address, timeout=5)
            except OSError:
                pass
            else:
                return
        time.sleep(0.5)
    raise RuntimeError(f"the MLflow server did not come up at {address}: see its log")
