"""`candor report`: rebuild every table and figure."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.options import Force, HubFile, TrackingUri, Workspace, servers
from experiments.terminal import echo

PANEL = "Studies"


def command(
    experiments: Annotated[
        list[str],
        typer.Argument(
            help="Experiments, by name, and packed studies: files that end in .study.zip.", show_default=False
        ),
    ],
    workspace: Workspace = Path("runs"),
    tracking_uri: TrackingUri = None,
    hub: HubFile = None,
    ui_url: Annotated[
        str | None, typer.Option("--ui-url", help="Link every number to its run in this MLflow UI.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Where to write. Default: reports/ in the workspace; of packed studies, NAME.report here.",
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Rebuild every table and figure from what MLflow holds, or from packed studies.

    Args:
        experiments: Experiments, by name or by the path of the TOML file; packed studies, by their files.
        workspace: The folder that everything is written to.
        tracking_uri: MLflow's address; None for a file in the workspace.
        hub: `hub.toml`, in place of the addresses of both servers.
        ui_url: The address of an MLflow UI; numbers then link to their runs.
        out: The folder to write to; None for `reports` in the workspace, and for
            NAME.report in the current folder if only packed studies are named.
        force: Whether to overwrite files that Candor did not write.
    """
    import reports
    from experiments.schema.experiment_name import name_of
    from search.archives.container import SUFFIX, is_packed
    from search.workspace import Workspace as Place

    if experiments and all(map(is_packed, experiments)):  # without a workspace
        first = Path(experiments[0]).name.removesuffix(SUFFIX).removesuffix(".zip")
        folder = out or Path(f"{first}.report")
        page = reports.build(experiments, "", folder, ui_url=ui_url, force=force)
    else:
        _, tracking_uri = servers(hub, None, tracking_uri)
        place = Place.view(workspace)
        page = reports.build(
            [one if is_packed(one) else name_of(one) for one in experiments],
            tracking_uri or place.tracking_uri,
            out or place.reports,
            ui_url=ui_url,
            force=force or out is None,
        )
    echo(f"Report: {page}")
