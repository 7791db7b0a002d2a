"""`candor report`: rebuild every table and figure."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.options import Force, TrackingUri, Workspace
from experiments.terminal import echo

PANEL = "Studies"


def command(
    experiments: Annotated[list[str], typer.Argument(help="Experiments, by name.", show_default=False)],
    workspace: Workspace = Path("runs"),
    tracking_uri: TrackingUri = None,
    ui_url: Annotated[
        str | None, typer.Option("--ui-url", help="Link every number to its run in this MLflow UI.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to write. Default: reports/ in the workspace.")
    ] = None,
    force: Force = False,
) -> None:
    """Rebuild every table and figure from what MLflow holds.

    Args:
        experiments: Experiments, by name or by the path of the TOML file.
        workspace: The folder that everything is written to.
        tracking_uri: MLflow's address; None for a file in the workspace.
        ui_url: The address of an MLflow UI; numbers then link to their runs.
        out: The folder to write to; None for `reports` in the workspace.
        force: Whether to overwrite files that Candor did not write.
    """
    import reports
    from experiments.schema.experiment_name import name_of
    from search.workspace import Workspace as Place

    place = Place.view(workspace)
    names = [name_of(experiment) for experiment in experiments]
    page = reports.build(
        names,
        tracking_uri or place.tracking_uri,
        out or place.reports,
        ui_url=ui_url,
        force=force or out is None,
    )
    echo(f"Report: {page}")
