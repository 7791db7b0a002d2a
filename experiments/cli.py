"""The command line. Heavy modules are imported by the command that needs them, so that --help is quick."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spaces.errors import UserError

os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # what MLflow says of its own tables is no news

if TYPE_CHECKING:
    from experiments.spec import Spec
    from experiments.stages import Finished

app = typer.Typer(
    name="candor",
    help="Architecture search for image classifiers that tells you what you can believe.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Experiment = Annotated[
    str,
    typer.Argument(
        help="A name from `candor list`, or the path of a TOML file of your own.", show_default=False
    ),
]
Workspace = Annotated[
    Path,
    typer.Option("--workspace", envvar="CANDOR_WORKSPACE", help="The folder that everything is written to."),
]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri", envvar="MLFLOW_TRACKING_URI", help="MLflow. Default: a file in the workspace."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors and where the report is.")]


@app.command()
def search(
    experiment: Experiment,
    data: Annotated[
        str | None,
        typer.Option("--data", help="A folder, zip, tar, csv or npz, kaggle:owner/name, or synthetic."),
    ] = None,
    trials: Annotated[
        int | None, typer.Option("--trials", help="Trials of explore: a total, not an addition.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="Evaluations at once. Default: one a core.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", help="Seeds of confirm, for each leader or cell.")
    ] = None,
    epochs: Annotated[int | None, typer.Option("--epochs", help="Epochs of an evaluation, at most.")] = None,
    hours: Annotated[float | None, typer.Option("--hours", help="A budget for the whole study.")] = None,
    workspace: Workspace = Path("runs"),
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage", envvar="CANDOR_STORAGE", help="Optuna's storage. Default: a file in the workspace."
        ),
    ] = None,
    tracking_uri: TrackingUri = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key of the experiment file.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Run the study of an experiment, or go on with it."""
    options = {
        "data.source": data,
        "protocol.trials": trials,
        "protocol.seeds": seeds,
        "protocol.epochs": epochs,
        "protocol.hours": hours,
    }
    spec = _spec(experiment, options, settings or [])
    from rich.console import Console

    from experiments import stages
    from experiments.progress import Progress
    from search.workspace import Workspace as Place

    means = stages.Means(Place.at(workspace), workers, storage, tracking_uri)
    finished = stages.search(spec, means, Progress(Console(), quiet))
    _tell(finished, workspace, tracking_uri)
    if not finished.over:
        raise typer.Exit(130)


@app.command()
def worker(
    experiment: Experiment,
    storage: Annotated[
        str,
        typer.Option(
            "--storage",
            envvar="CANDOR_STORAGE",
            help="postgresql+psycopg://USER@HOST/NAME; the password from PGPASSWORD or ~/.pgpass.",
            show_default=False,
        ),
    ],
    tracking_uri: Annotated[
        str,
        typer.Option(
            "--tracking-uri", envvar="MLFLOW_TRACKING_URI", help="The MLflow server.", show_default=False
        ),
    ],
    data: Annotated[
        str | None, typer.Option("--data", help="The study's images, as this machine finds them.")
    ] = None,
    workers: Annotated[
        str, typer.Option("--workers", help="Evaluations at once. auto: one a GPU, else one a core.")
    ] = "auto",
    gpu_share: Annotated[int, typer.Option("--gpu-share", min=1, help="Evaluations on one GPU.")] = 1,
    grace: Annotated[
        int, typer.Option("--grace", min=4, help="Seconds of silence until a machine is thought lost.")
    ] = 120,
    workspace: Workspace = Path("runs"),
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any key of the experiment file.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Work on a study with other machines: the same command on each of them, as many as there are."""
    from rich.console import Console

    from experiments import stages
    from experiments.progress import Progress
    from search.workspace import Workspace as Place

    if not storage.startswith("postgresql"):
        raise UserError("workers meet in PostgreSQL: --storage takes postgresql+psycopg://USER@HOST/NAME")
    if workers != "auto" and not (workers.isdecimal() and int(workers)):
        raise UserError(f'--workers takes a number above 0 or auto. Received: "{workers}"')
    count = None if workers == "auto" else int(workers)
    spec = _spec(experiment, {"data.source": data}, settings or [])
    place = Place.at(workspace)
    means = stages.Means(place, count, storage, tracking_uri, gpu_share, grace, joins=True)
    finished = stages.search(spec, means, Progress(Console(), quiet))
    _tell(finished, workspace, tracking_uri)
    if not finished.over:
        raise typer.Exit(130)


def _spec(experiment: str, options: dict[str, Any], settings: list[str]) -> "Spec":
    """The experiment with what the command line changes in it."""
    from experiments.spec import Spec, parse_setting

    spec = Spec.load(experiment)
    changes = {key: value for key, value in options.items() if value is not None}
    changes |= dict(parse_setting(text) for text in settings)
    return spec.override(changes) if changes else spec


def _tell(finished: "Finished", workspace: Path, tracking_uri: str | None) -> None:
    from search.storage import masked

    for sentence in finished.sentences:
        typer.echo(sentence)
    if not finished.over:
        typer.echo("Stopped. The same command goes on where this one ended.")
    if finished.waiting:
        typer.echo(
            f"{finished.waiting} records wait for MLflow ({finished.trouble}); they are kept in "
            f"{workspace / 'spool'} and sent by the next search."
        )
    if finished.report is not None:
        typer.echo(f"Report: {finished.report}")
    place = "" if str(workspace) == "runs" else f" WORKSPACE={workspace}"
    typer.echo(f"MLflow: {masked(tracking_uri or f'make ui{place}, then http://127.0.0.1:5000')}")


@app.command()
def report(
    experiments: Annotated[list[str], typer.Argument(help="Experiments, by name.", show_default=False)],
    workspace: Workspace = Path("runs"),
    tracking_uri: TrackingUri = None,
    ui_url: Annotated[
        str | None, typer.Option("--ui-url", help="Link every number to its run in this MLflow UI.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where to write. Default: reports/ in the workspace.")
    ] = None,
) -> None:
    """Rebuild every table and figure from what MLflow holds."""
    import reports
    from search.workspace import Workspace as Place

    place = Place.at(workspace)
    names = [Path(name).stem if name.endswith(".toml") else name for name in experiments]
    page = reports.build(names, tracking_uri or place.tracking_uri, out or place.reports, ui_url=ui_url)
    typer.echo(f"Report: {page}")


@app.command()
def unseal(
    experiment: Experiment,
    workspace: Workspace = Path("runs"),
    tracking_uri: TrackingUri = None,
) -> None:
    """Open the test set, once, for the verdict of a finished study."""
    from experiments.opening import open_test_set
    from experiments.stages import Means
    from experiments.stages import report as write_report
    from search.workspace import Workspace as Place

    name = Path(experiment).stem
    means = Means(Place.at(workspace), tracking_uri=tracking_uri)
    opening = open_test_set(name, means, typer.echo)
    for label, accuracies in opening.accuracies.items():
        mean = sum(accuracies) / len(accuracies)
        typer.echo(f"{label}: test accuracy {mean:.4f} (mean of {len(accuracies)} seeds)")
    typer.echo(f"Report: {write_report([name], means.tracking, means.workspace.reports)}")


@app.command("list")
def list_() -> None:
    """Show the experiments and the families, with their questions."""
    from rich.console import Console
    from rich.table import Table

    from experiments import catalog
    from spaces.family import family_names, load_family

    console = Console()
    experiments = Table("experiment", "question", "space", box=None, header_style="bold", padding=(0, 2))
    for entry in catalog.entries():
        experiments.add_row(entry.name, entry.question, ", ".join(entry.space))
    families = Table("family", "what it is", "variants", box=None, header_style="bold", padding=(0, 2))
    for name in family_names():
        family = load_family(name)
        families.add_row(name, family.summary, ", ".join(family.variants))
    console.print(experiments)
    console.print()
    console.print(families)


@app.command()
def ui(
    workspace: Workspace = Path("runs"),
    port: Annotated[int, typer.Option("--port", min=1, max=65535)] = 5000,
    host: Annotated[str, typer.Option("--host", help="Only this machine can see 127.0.0.1.")] = "127.0.0.1",
) -> None:
    """Browse every run in the MLflow UI. Ctrl-C ends it."""
    import socket

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
    light = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--workers",
        "1",
        "--host",
        host,
        "--port",
        str(port),
    ]
    command += [
        "--backend-store-uri",
        place.tracking_uri,
        "--default-artifact-root",
        place.artifacts.as_uri(),
    ]
    os.execve(sys.executable, command, {**os.environ, **light})  # noqa: S606  our own interpreter


def main() -> None:
    """Run the command line: 0 done, 1 failed, 2 wrong usage or input, 130 stopped half-way."""
    try:
        app(standalone_mode=True)
    except UserError as error:
        typer.echo(f"candor: {error}", err=True)
        sys.exit(2)
    except Exception as error:
        if type(error).__name__ == "BrokenStudy":
            typer.echo(f"candor: {error}. Everything finished is kept; the same command goes on.", err=True)
            sys.exit(1)
        raise
