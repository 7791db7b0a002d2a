"""SLURM: an array job with a task for each worker (`sbatch`, tried with 22.05)."""

import shutil
import subprocess
import sys
from collections.abc import Callable

from experiments.launchers.request import LaunchRequest, quoted
from spaces.errors import UserError

#: So long before the time limit a worker is asked to finish its epochs and to save, in seconds.
_NOTICE = 120

_SCRIPT = """\
#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --array=1-{workers}
#SBATCH --ntasks=1
#SBATCH --cpus-per-task={cpus}
#SBATCH --mem={memory}G
{gpus}#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=B:USR1@{notice}
#SBATCH --output={logs}/slurm-%A-%a.log
# The time limit announces itself with USR1: the worker saves, and the task goes back into the queue.
# A cancellation sends TERM: the worker saves, and the task ends.
{command} &
worker=$!
again=
trap 'again=1; kill -TERM $worker' USR1
trap 'kill -TERM $worker' TERM
while :; do
    wait $worker
    status=$?
    kill -0 $worker 2>/dev/null || break
done
if [ -n "$again" ] && [ $status -ne 0 ] && [ $status -ne 2 ]; then
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
fi
exit $status
"""


def script(request: LaunchRequest) -> str:
    """Write the job script.

    Args:
        request: what to start.

    Returns:
        The script that `sbatch` reads.
    """
    workspace = request.workspace.resolve()
    words = [sys.executable, "-P", "-m", "experiments"]
    return _SCRIPT.format(
        name=request.name,
        workers=request.workers,
        cpus=request.cpus,
        memory=request.memory_gib,
        gpus=f"#SBATCH --gres=gpu:{request.gpus}\n" if request.gpus else "",
        notice=_NOTICE,
        logs=workspace / "logs",
        command=quoted([*words, *request.worker(str(request.hub.resolve()), str(workspace))]),
    )


def launch(request: LaunchRequest, say: Callable[[str], None]) -> None:
    """Submit the job, or print it.

    Args:
        request: what to start.
        say: takes a line for the user.

    Raises:
        UserError: where SLURM is not there, or refuses the job.
    """
    text = script(request)
    if request.dry_run:
        say(text)
        return
    if shutil.which("sbatch") is None:
        raise UserError("sbatch is not here: run this on a login node of a SLURM cluster, or add --dry-run")
    (request.workspace / "logs").mkdir(parents=True, exist_ok=True)  # sbatch makes no folder
    done = subprocess.run(
        ["sbatch", *request.options], input=text, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise UserError(f"SLURM refused the job: {done.stderr.strip() or done.stdout.strip()}")
    say(done.stdout.strip())
    say(f"Their output: {request.workspace.resolve() / 'logs'}/slurm-*.log. `squeue --me` shows them.")
