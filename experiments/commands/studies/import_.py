"""`candor import`: results that exist already, judged like a study."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.options import Workspace
from experiments.terminal import echo

PANEL = "Studies"


def command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="FILE.csv, mlflow:EXPERIMENT, optuna:sqlite:///FILE.db, keras-tuner:FOLDER, or a pattern of "
            "prediction files such as 'predictions/{arch}-{seed}.npz'.",
            show_default=False,
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option("--name", help="What to call it in reports; the source's own name if left out."),
    ] = None,
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
    curve: Annotated[
        str | None,
        typer.Option(
            "--curve",
            metavar="FILES",
            help="Scores by epoch: 'history/{arch}-{seed}.csv'; of MLflow: 'val_accuracy,accuracy'.",
        ),
    ] = None,
    predictions: Annotated[
        str | None,
        typer.Option(
            "--predictions",
            metavar="FILES",
            help="Validation predictions: 'predictions/{arch}-{seed}.npz'; of MLflow an artifact's path.",
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option("--labels", metavar="FILE", help="Labels, where the predictions come without."),
    ] = None,
    study: Annotated[
        str | None, typer.Option("--study", metavar="NAME", help="The Optuna study, where there are several.")
    ] = None,
    tracking_uri: Annotated[
        str | None,
        typer.Option("--tracking-uri", metavar="URI", help="The MLflow server or store to read from."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be imported; write nothing.")
    ] = False,
    workspace: Workspace = Path("runs"),
) -> None:
    """Import results that exist already, and see what they allow to conclude.

    Args:
        source: A CSV file, or an address that begins with what it is of.
        name: What to call the experiment; None: after the source.
        candidate: Columns that tell candidates apart, separated by commas; None: the guess.
        seed: The column with the seed; None: the guess.
        validation: The column with the validation accuracy; None: the guess.
        train: The column with the train accuracy; None: the guess.
        test: The column with the test accuracy; None: the guess.
        images: Number of validation images; None: from a column or the predictions, or unknown.
        test_images: Number of test images; None: from a column, or unknown.
        curve: Files with scores by epoch, or MLflow's metrics; None: none.
        predictions: Files with predictions, or MLflow's artifact; None: none.
        labels: A file with labels; None: the predictions have them.
        study: The Optuna study; None: the only one.
        tracking_uri: Where to read MLflow's runs; None: MLFLOW_TRACKING_URI.
        dry_run: Whether to write nothing.
        workspace: The folder that everything is written to.
    """
    from experiments.options import checked_tracking_uri
    from search.imports.find_reader import results_from
    from search.imports.request import Request
    from search.safety.secrets import remember
    from spaces.errors import UserError

    remember(source.partition(":")[2])
    if tracking_uri and not Path(tracking_uri).is_dir():
        checked_tracking_uri(tracking_uri)
    scores = {"val_accuracy": validation, "train_accuracy": train, "test_accuracy": test}
    request = Request(
        candidate=tuple(part.strip() for part in candidate.split(",")) if candidate else (),
        seed=seed,
        scores={score: column for score, column in scores.items() if column},
        images=images,
        test_images=test_images,
        tracking_uri=tracking_uri,
        study=study,
        curve=curve,
        predictions=predictions,
        labels=labels,
        progress=lambda told: echo(told, err=True),
    )
    table, results = results_from(source, request)
    name = name or table.name
    if not name:
        raise UserError(f"{source} has no name that an experiment may have: give one with --name")
    for line in results.guess:
        echo(line)
    for line in results.findings:
        echo(f"Known problem: {line}.")
    if dry_run:
        return
    from experiments.workflows.records.import_results import write_results
    from search.workspace import Workspace as Place
    from search.workspace import option

    done = write_results(results, name, table.address, Place.at(workspace))
    gone = f"; {done.removed:,} removed that the source has no longer" if done.removed else ""
    echo(f"Study {done.study}: {done.added:,} runs added, {done.changed:,} changed{gone}.")
    echo(f"See what they allow to conclude: candor report {name}{option(workspace)}")
