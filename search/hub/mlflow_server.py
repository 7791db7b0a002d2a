"""An MLflow server on the hub's PostgreSQL, which keeps the artifacts in the workspace."""

import secrets
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from search.hub import processes
from search.hub.address import Hub
from search.hub.postgres import MLFLOW
from spaces.errors import UserError

_WAIT_SECONDS = 180.0


@dataclass(frozen=True)
class MlflowServer:
    """One server.

    Args:
        folder: where its artifacts, users and log lie.
        host: the address that it listens on.
        port: on which it listens.
        names: the host names that clients may use; any other is refused (a guard against DNS rebinding).
        database_port: of PostgreSQL, on this machine.
        passwords: whether clients must log in.
    """

    folder: Path
    host: str
    port: int
    names: Sequence[str]
    database_port: int
    passwords: bool

    @property
    def log(self) -> Path:
        """What the server prints."""
        return self.folder / "mlflow.log"

    def start(self, hub: Hub) -> processes.Process:
        """Start the server.

        Args:
            hub: user and password, of the database and of those who log in.

        Returns:
            Its process.

        Raises:
            UserError: where clients must log in and the package for it is missing.
        """
        command = [sys.executable, "-P", "-m", "mlflow", "server", "--workers", "1"]
        command += ["--host", self.host, "--port", str(self.port)]
        command += [
            "--backend-store-uri",
            f"postgresql+psycopg://{hub.user}@127.0.0.1:{self.database_port}/{MLFLOW}",
        ]
        command += ["--serve-artifacts", "--artifacts-destination", (self.folder / "artifacts").as_uri()]
        command += ["--allowed-hosts", ",".join(f"{name}:{self.port}" for name in self.names)]
        environment = {
            "PGPASSWORD": hub.password,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        if self.passwords:
            command += ["--app-name", "basic-auth"]
            environment |= self._with_passwords(hub)
        return processes.start(command, self.log, environment)

    def _with_passwords(self, hub: Hub) -> dict[str, str]:
        if find_spec("flask_wtf") is None:
            raise UserError(
                "an MLflow server with passwords needs one more package: .venv/bin/pip install -e '.[hub]'; "
                "or leave --host away, and only this machine can connect"
            )
        config = self.folder / "mlflow_auth.ini"
        config.write_text(
            "[mlflow]\ndefault_permission = READ\n"
            f"database_uri = sqlite:///{self.folder / 'mlflow_users.db'}\n"
            f"admin_username = {hub.user}\n"
            "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
            "auth_cache_ttl_seconds = 60\n"
        )
        return {
            "MLFLOW_AUTH_CONFIG_PATH": str(config),
            "MLFLOW_AUTH_ADMIN_PASSWORD": hub.password,
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(32),
        }

    def wait(self, process: processes.Process) -> None:
        """Wait until the server answers.

        Args:
            process: the server's.

        Raises:
            UserError: where it ends, or does not answer within three minutes.
        """
        end = time.monotonic() + _WAIT_SECONDS
        while True:
            host = "127.0.0.1" if self.host == "0.0.0.0" else self.host  # noqa: S104  compared, not bound
            if answers(f"http://{host}:{self.port}"):
                return
            if process.poll() is not None or time.monotonic() > end:
                raise UserError(f"the MLflow server does not start: see {self.log}")
            time.sleep(0.3)


def answers(address: str) -> bool:
    """Tell whether an MLflow server is up.

    Args:
        address: `http://HOST:PORT`.

    Returns:
        Whether it says that it is healthy, within five seconds.
    """
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5) as answer:  # noqa: S310  our own address
            return bool(answer.status == 200)
    except OSError:
        return False
