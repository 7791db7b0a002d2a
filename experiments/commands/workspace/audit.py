"""`candor audit`: duplicates, leaks, conflicts and flat images, before a single epoch."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.options import Force, Workspace
from experiments.terminal import echo

PANEL = "Workspace"


def command(
    data: Annotated[
        list[str],
        typer.Argument(help="Data sets, as --data takes them; several are compared.", show_default=False),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to write. Default: audit/ in the workspace.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", help="So many images of each set.")] = None,
    leaks: Annotated[
        str,
        typer.Option(
            "--leaks", help="Training images like evaluation ones: purge-train, report (keep them) or refuse."
        ),
    ] = "purge-train",
    group: Annotated[
        str | None,
        typer.Option("--group", help="A column, or a pattern of file names: its images belong together."),
    ] = None,
    labels: Annotated[
        bool,
        typer.Option("--labels", help="Find doubtful labels too: trains small networks for some minutes."),
    ] = False,
    force: Force = False,
    workspace: Workspace = Path("runs"),
) -> None:
    """Find duplicates within and across splits and sets, label conflicts, flat images, doubtful labels.

    Args:
        data: Data sets to audit.
        out: The folder to write to.
        limit: The number of images to draw from each data set; None for all.
        leaks: What to do with training images that have a duplicate in an evaluation part.
        group: A column, or a pattern of file names, that says which images belong together.
        labels: Whether to find doubtful labels too, by networks trained on other images of train and
            validation.
        force: Whether to overwrite files that Candor did not write.
        workspace: The folder that everything is written to.
    """
    from search.datasets.audit.audit import audit
    from search.datasets.prepare import prepare
    from search.labels.audit import audit_labels, write_label_audits
    from search.workspace import Workspace as Place

    place = Place.at(workspace)
    page = audit(
        data,
        place.cache,
        out or place.folder / "audit",
        echo,
        limit=limit,
        leaks=leaks,
        group=group,
        force=force or out is None,
    )
    if labels:
        audits = [
            audit_labels(
                prepare(source, place.cache, limit=limit, leaks=leaks, group=group, say=echo),
                place.cache,
                place.logs / "children.log",
                echo,
            )
            for source in data
        ]
        pages = write_label_audits(audits, page.parent, force=force or out is None)
        for found in audits:
            for sentence in found.sentences():
                echo(sentence)
        for labels_page in pages:
            echo(f"Labels: {labels_page}")
    echo(f"Audit: {page}")
