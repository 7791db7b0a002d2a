"""Ray: a task for each worker that holds its cores and GPUs and runs `candor worker` (extra `ray`)."""

from collections.abc import Callable
from typing import Any

from experiments.launchers.request import LaunchRequest, quoted
from search.hub.address import Hub
from spaces.errors import UserError

_LOOK_SECONDS = 10.0
#: So often a task is started again whose node died.
_RETRIES = 20


def launch(request: LaunchRequest, say: Callable[[str], None]) -> None:
    """Run the workers on a Ray cluster and wait for them. Ctrl-C cancels them; they save first.

    Args:
        request: what to start.
        say: takes a line for the user.

    Raises:
        UserError: where Ray is not installed, no cluster answers, or a worker fails.
    """
    hub = Hub.read(request.hub)
    command = request.worker("", str(request.workspace.resolve()))
    at = command.index("--hub")
    command = command[:at] + command[at + 2 :]
    if request.dry_run:
        room = f"{request.cpus} CPUs and {request.gpus} GPUs"
        say(f"{request.workers} tasks with {room}, each: candor {quoted(command)}")
        return
    try:
        import ray
    except ModuleNotFoundError:
        raise UserError("Ray is not installed: .venv/bin/pip install -e '.[ray]'") from None
    try:
        ray.init(address=request.address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(f"no Ray cluster answers at {request.address} ({error})") from None
    try:
        _wait(ray, _tasks(ray, request, hub, command), say)
    finally:
        ray.shutdown()


def _tasks(ray: Any, request: LaunchRequest, hub: Hub, command: list[str]) -> list[Any]:
    environment = {"CANDOR_STORAGE": hub.storage, "MLFLOW_TRACKING_URI": hub.tracking_uri}
    hub.log_in(environment)

    # Defined here, so that Ray takes it along: its nodes need Candor for the worker alone.
    def run(command: list[str], environment: dict[str, str]) -> tuple[int, str]:
        import os
        import shutil
        import subprocess
        import sys

        ends_with_task = ["setpriv", "--pdeathsig=TERM", "--"] if shutil.which("setpriv") else []
        program = [*ends_with_task, sys.executable, "-P", "-m", "experiments", *command]
        child = subprocess.Popen(
            program,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            output, _ = child.communicate()
        except BaseException:
            child.terminate()
            child.wait(600)
            raise
        return child.returncode, output[-2000:]

    task = ray.remote(
        num_cpus=request.cpus,
        num_gpus=request.gpus,
        memory=request.memory_gib << 30,
        max_retries=_RETRIES,
    )(run)
    return [
        task.options(name=f"{request.name}-{n}").remote(command, environment) for n in range(request.workers)
    ]


def _wait(ray: Any, pending: list[Any], say: Callable[[str], None]) -> None:
    total, failures = len(pending), []
    say(f"{total} workers wait for room on the cluster; Ctrl-C stops them")
    try:
        while pending:
            done, pending = ray.wait(pending, timeout=_LOOK_SECONDS)
            for one in done:
                status, output = ray.get(one)
                if status not in (0, 130):
                    failures.append(
                        output.strip().splitlines()[-1] if output.strip() else f"exit code {status}"
                    )
                say(f"{total - len(pending)} of {total} workers ended")
    except KeyboardInterrupt:
        for one in pending:
            ray.cancel(one)
        say("the workers were asked to stop; the same command goes on")
    if failures:
        raise UserError(f"{len(failures)} of {total} workers failed: {failures[0]}")
