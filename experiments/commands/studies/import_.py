"""`candor import`: results that exist already, judged like a study."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.options import Workspace
from experiments.terminal import echo

PANEL = "Studies"


def command(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="A table saved as CSV: a row for each run, or a column for each seed."
        ),
    ],
    name: Annotated[str, typer.Option("--name", help="What to call it in reports.", show_default=False)],
    candidate: Annotated[
        str | None, typer.Option("--candidate", metavar="COLUMNS", help="What tells candidates apart.")
    ] = None,
    seed: Annotated[str | None, typer.Option("--seed", metavar="COLUMN", help="The seed of a run.")] = None,
    validation: Annotated[
        str | None, typer.Option("--validation", metavar="COLUMN", help="Validation accuracy.")
    ] = None,
    train: Annotated[str | None, typer.Option("--train", metavar="COLUMN", help="Train accuracy.")] = None,
    test: Annotated[str | None, typer.Option("--test", metavar="COLUMN", help="Test accuracy.")] = None,
    images: Annotated[
        int | None, typer.Option("--images", min=1, help="Number of validation images.")
    ] = None,
    test_images: Annotated[
        int | None, typer.Option("--test-images", min=1, help="Number of test images.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be imported; write nothing.")
    ] = False,
    workspace: Workspace = Path("runs"),
) -> None:
    """Import results from a table, and see what they allow to conclude.

    Args:
        source: A CSV file.
        name: What to call the experiment.
        candidate: Columns that tell candidates apart, separated by commas; None: the guess.
        seed: The column with the seed; None: the guess.
        validation: The column with the validation accuracy; None: the guess.
        train: The column with the train accuracy; None: the guess.
        test: The column with the test accuracy; None: the guess.
        images: Number of validation images; None: from a column, or unknown.
        test_images: Number of test images; None: from a column, or unknown.
        dry_run: Whether to write nothing.
        workspace: The folder that everything is written to.
    """
    from search.imports.results import results_of
    from search.imports.roles import Choices, roles_of
    from search.imports.table import read_table

    scores = {"val_accuracy": validation, "train_accuracy": train, "test_accuracy": test}
    choices = Choices(
        candidate=tuple(part.strip() for part in candidate.split(",")) if candidate else (),
        seed=seed,
        scores={score: column for score, column in scores.items() if column},
    )
    table = read_table(source)
    results = results_of(table, roles_of(table, choices), images, test_images)
    for line in results.guess:
        echo(line)
    for line in results.findings:
        echo(f"Known problem: {line}.")
    if dry_run:
        return
    from experiments.workflows.records.import_results import write_results
    from search.workspace import Workspace as Place

    done = write_results(results, name, f"csv:{source.name}", Place.at(workspace))
    gone = f"; {done.gone:,} are no longer in the table and stay" if done.gone else ""
    echo(f"Study {done.study}: {done.added:,} runs added, {done.changed:,} changed{gone}.")
    place = "" if str(workspace) == "runs" else f" --workspace {workspace}"
    echo(f"See what they allow to conclude: candor report {name}{place}")
