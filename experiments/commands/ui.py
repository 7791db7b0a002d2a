"""`candor ui`: MLflow's pages of the workspace."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from experiments.options import Workspace
from spaces.errors import UserError

PANEL = "Workspace"


def command(
    workspace: Workspace = Path("runs"),
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 5000,
    host: Annotated[str, typer.Option("--host", help="Only this machine can see 127.0.0.1.")] = "127.0.0.1",
) -> None:
    """Browse every run in the MLflow UI. Ctrl-C ends it."""
    import socket

    from reports.page.links import runs_address
    from reports.records.store import open_store
    from search.safety.import_path import safe_environment
    from search.tracking.writer import prepare_store
    from search.workspace import Workspace as Place

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
    typer.echo(f"MLflow: http://{host}:{port} (ready in some 10 seconds; Ctrl-C ends it)")
    for name, number in open_store(place.tracking_uri).experiments().items():
        if name != "Default":  # MLflow makes it in every store
            typer.echo(f"  {name}: {runs_address(f'http://{host}:{port}', number)}")
    light = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    where = ["--host", host, "--port", str(port), "--workers", "1"]
    stores = ["--backend-store-uri", place.tracking_uri, "--default-artifact-root", place.artifacts.as_uri()]
    command = [sys.executable, "-P", "-m", "mlflow", "server", *where, *stores]
    os.execve(sys.executable, command, safe_environment(light))  # noqa: S606  our own interpreter
