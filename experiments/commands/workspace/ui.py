"""`candor ui`: MLflow's pages of the workspace."""

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from experiments.options import Workspace
from experiments.terminal import echo
from spaces.errors import UserError

PANEL = "Workspace"


def command(
    workspace: Workspace = Path("runs"),
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 5000,
    host: Annotated[str, typer.Option("--host", help="Only this machine can see 127.0.0.1.")] = "127.0.0.1",
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", help="A further name that browsers may use for this machine."),
    ] = None,
) -> None:
    """Browse every run in the MLflow UI. Ctrl-C ends it.

    Args:
        workspace: The folder that everything is written to.
        port: The port to listen on.
        host: The address to listen on.
        allow_host: Host names that browsers may use.
    """
    import socket

    from reports.page.links import runs_address
    from reports.records.open_store import open_store
    from search.hub.hub import hub_ui
    from search.safety.import_path import safe_environment
    from search.tracking.writer import prepare_store
    from search.workspace import Workspace as Place

    at_hub = hub_ui(workspace)
    if at_hub is not None:
        echo(f"MLflow runs in the hub of this workspace: {at_hub}")
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UserError(
                f"port {port} on {host} is taken ({error.strerror}): choose another with --port"
            ) from error
    place = Place.at(workspace)
    prepare_store(place.tracking_uri, place.folder / "mlflow.lock")
    echo(f"MLflow: http://{host}:{port} (ready in some 10 seconds; Ctrl-C ends it)")
    for name, number in open_store(place.tracking_uri).experiments().items():
        if name != "Default":  # MLflow makes it in every store
            echo(f"  {name}: {runs_address(f'http://{host}:{port}', number)}")
    light = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    where = ["--host", host, "--port", str(port), "--workers", "1"]
    where += ["--allowed-hosts", ",".join(allowed_hosts(host, port, allow_host or []))]
    stores = ["--backend-store-uri", place.tracking_uri, "--default-artifact-root", place.artifacts.as_uri()]
    command = [sys.executable, "-P", "-m", "mlflow", "server", *where, *stores]
    os.execve(sys.executable, command, safe_environment(light))  # noqa: S606  our own interpreter


def allowed_hosts(host: str, port: int, more: Sequence[str] = ()) -> list[str]:
    """The exact Host headers that the server answers: MLflow's own rule takes 10.evil.example for an address.

    Args:
        host: the address that the server listens on.
        port: its port.
        more: further names of this machine. A * in one of them is not a pattern.
    """
    import socket

    names = ["localhost", "127.0.0.1", "::1", host]
    if host in ("0.0.0.0", "::"):  # noqa: S104  that is what the user asked for
        names += [socket.gethostname(), socket.getfqdn()]
    for name in more:
        if not re.fullmatch(r"[A-Za-z0-9._:-]+", name):
            raise UserError(f"--allow-host takes the name or address of this machine. Received: {name}")
        names.append(name)
    return list(dict.fromkeys(f"[{name}]:{port}" if ":" in name else f"{name}:{port}" for name in names))
