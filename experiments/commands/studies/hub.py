"""`candor hub`: PostgreSQL and MLflow for several machines."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.options import Workspace
from experiments.terminal import echo

PANEL = "Studies"


def command(
    workspace: Workspace = Path("runs"),
    host: Annotated[
        str,
        typer.Option(
            "--host", help="The address to listen on; 0.0.0.0 for other machines, who need the password."
        ),
    ] = "127.0.0.1",
    name: Annotated[
        str | None, typer.Option("--name", help="The host name that workers use. Default: this machine's.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65535, help="MLflow's. Default: a free one, then the same."),
    ] = None,
    postgres_port: Annotated[
        int | None, typer.Option("--postgres-port", min=1, max=65535, help="PostgreSQL's.")
    ] = None,
) -> None:
    """Run PostgreSQL and an MLflow server for workers on several machines. Ctrl-C stops both.

    Args:
        workspace: The folder that holds the data of both servers and `hub.toml`.
        host: The address to listen on, beside 127.0.0.1.
        name: The host name that workers use; None for this machine's.
        port: MLflow's port; None for that of the last start, or a free one.
        postgres_port: PostgreSQL's port; None for the same.

    Raises:
        UserError: Where the hub runs already, a port is taken, or a server does not start.
    """
    from search.hub.hub import Options, serve
    from search.workspace import Workspace as Place

    serve(Place.at(workspace), Options(host, name, port, postgres_port), echo)
