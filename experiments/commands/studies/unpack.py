"""`candor unpack`: a packed study joins a workspace."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.options import Workspace
from experiments.terminal import echo

PANEL = "Studies"


def command(
    file: Annotated[Path, typer.Argument(help="A file that `candor pack` wrote.", show_default=False)],
    workspace: Workspace = Path("runs"),
) -> None:
    """Put a packed study into a workspace, where it goes on with the same id."""
    from experiments.workflows.records.unpack import unpack
    from search.workspace import Workspace as Place

    place = Place.at(workspace)
    done = unpack(file, place)
    echo(
        f"Study {done.study} of {done.experiment} is in {place.folder}: {done.evaluations:,} evaluations, "
        f"{done.added:,} runs were new."
    )
    if done.file.is_file():  # else it was imported, and there is nothing to go on with
        echo(f"Its images have the digest {done.data_digest[:12]}. It goes on with:")
        echo(f"    {done.go_on(workspace)}")
