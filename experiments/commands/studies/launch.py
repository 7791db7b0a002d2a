"""`candor launch`: start workers on a SLURM, Ray or Kubernetes cluster."""

from pathlib import Path
from typing import Annotated

import typer

from experiments.options import Experiment, HubFile, Settings, Workspace
from spaces.errors import UserError

PANEL = "Studies"
_KINDS = ("slurm", "ray", "kubernetes")


def command(
    cluster: Annotated[str, typer.Argument(help="slurm, ray or kubernetes.", show_default=False)],
    experiment: Experiment,
    options: Annotated[
        list[str] | None, typer.Argument(metavar="[-- OPTIONS]", help="Options of sbatch, as they are.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Worker processes.")] = 4,
    hub: HubFile = None,
    data: Annotated[
        str | None, typer.Option("--data", help="The study's images, as every machine finds them.")
    ] = None,
    workspace: Workspace = Path("runs"),
    settings: Settings = None,
    cpus: Annotated[int, typer.Option("--cpus", min=1, help="Cores of each worker.")] = 2,
    gpus: Annotated[int, typer.Option("--gpus", min=0, help="GPUs of each worker.")] = 0,
    memory: Annotated[int, typer.Option("--memory", min=1, help="Memory of each worker, GiB.")] = 4,
    image: Annotated[str | None, typer.Option("--image", help="Kubernetes: the container image.")] = None,
    address: Annotated[str, typer.Option("--address", help="Ray: the cluster's address.")] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be started.")] = False,
) -> None:
    """Start workers of a study on a cluster. They meet at the hub that `candor hub` runs.

    Args:
        cluster: slurm, ray or kubernetes.
        experiment: A name from `candor list`, or the path of a TOML file.
        options: Further options of sbatch, as they are.
        workers: The number of worker processes.
        hub: `hub.toml`; None for that of the workspace.
        data: The images, as every machine finds them.
        workspace: The folder of every worker.
        settings: Further keys of the experiment file, each as KEY=VALUE.
        cpus: Cores of each worker.
        gpus: GPUs of each worker.
        memory: Memory of each worker in GiB.
        image: The container image (Kubernetes).
        address: The cluster's address (Ray).
        dry_run: Whether to print what would be started.

    Raises:
        UserError: Where the cluster or the hub file is not there.
    """
    from importlib import import_module

    from experiments.launchers.request import LaunchRequest

    if cluster not in _KINDS:
        raise UserError(f'candor launch takes {", ".join(_KINDS)}. Received: "{cluster}"')
    file = hub or workspace
    file = file / "hub.toml" if file.is_dir() else file
    if not file.exists():
        raise UserError(f"there is no hub file {file}: run `candor hub`, or name the file with --hub")
    request = LaunchRequest(
        experiment, workers, file, data, workspace,
        tuple(settings or ()), cpus, gpus, memory, tuple(options or ()), image, address, dry_run,
    )  # fmt: skip
    import_module(f"experiments.launchers.{cluster}").launch(request, typer.echo)
