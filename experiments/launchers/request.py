"""What a launcher is asked to start."""

import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class LaunchRequest:
    """Workers of one study.

    Args:
        experiment: its name, or the path of its file.
        workers: how many worker processes, one for each job.
        hub: `hub.toml`, where every machine can read it.
        data: the images, as every machine finds them; None for the experiment's own.
        workspace: the folder of every worker; on a shared disk a lost evaluation resumes elsewhere.
        settings: `--set` of the worker.
        cpus: cores of each worker.
        gpus: GPUs of each worker, 0 for none.
        memory_gib: memory of each worker in GiB.
        options: further options for the scheduler, as they are.
        image: the container image (Kubernetes).
        address: of the cluster (Ray).
        dry_run: print what would be started.
    """

    experiment: str
    workers: int
    hub: Path
    data: str | None
    workspace: Path
    settings: tuple[str, ...] = ()
    cpus: int = 2
    gpus: int = 0
    memory_gib: int = 4
    options: tuple[str, ...] = ()
    image: str | None = None
    address: str = "auto"
    dry_run: bool = False

    @property
    def name(self) -> str:
        """A name for the jobs: letters, digits and hyphens."""
        plain = "".join(sign if sign.isalnum() else "-" for sign in Path(self.experiment).stem.lower())
        return f"candor-{plain.strip('-') or 'study'}"[:52].rstrip("-")

    def worker(self, hub: str, workspace: str, experiment: str | None = None) -> list[str]:
        """Build the arguments of `candor`.

        Args:
            hub: the path of `hub.toml` where the worker runs.
            workspace: its folder there.
            experiment: the experiment there; None for the path or name as it is here.

        Returns:
            The words after `candor`.
        """
        file = Path(self.experiment)
        here = str(file.resolve()) if file.suffix == ".toml" else self.experiment
        words = ["worker", experiment or here, "--hub", hub, "--workspace", workspace, "--quiet"]
        words += ["--workers", str(max(1, self.gpus or self.cpus))]
        if self.data is not None:
            words += ["--data", self.data]
        return [*words, *(word for setting in self.settings for word in ("--set", setting))]


def quoted(words: list[str]) -> str:
    """Join the words of a command for a shell.

    Args:
        words: the program and its arguments.

    Returns:
        One line.
    """
    return shlex.join(words)
