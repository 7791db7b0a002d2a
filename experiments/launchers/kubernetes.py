"""Kubernetes: an Indexed Job with a pod for each worker, printed for `kubectl apply -f -`."""

from collections.abc import Callable
from typing import Any

import yaml

from experiments.launchers.request import LaunchRequest
from spaces.errors import UserError

SECRET = "candor-hub"  # noqa: S105  the name of the secret, not a password
#: So long a pod may take to finish its epochs and to save before it is killed, in seconds.
_GRACE_SECONDS = 600


def manifest(request: LaunchRequest) -> dict[str, Any]:
    """Describe the job.

    Args:
        request: what to start.

    Returns:
        A `batch/v1` Job as plain values.

    Raises:
        UserError: where no image is named, or the experiment is a file of this machine.
    """
    if not request.image:
        raise UserError("Kubernetes needs --image IMAGE, built from deploy/Dockerfile")
    if request.experiment.endswith(".toml"):
        raise UserError(
            "a pod cannot read a file of this machine: add the experiment to the image and give its name"
        )
    limits: dict[str, Any] = {"cpu": str(request.cpus), "memory": f"{request.memory_gib}Gi"}
    if request.gpus:
        limits["nvidia.com/gpu"] = str(request.gpus)
    container = {
        "name": "worker",
        "image": request.image,
        "command": ["candor", *request.worker("/hub/hub.toml", "/workspace", request.experiment)],
        "resources": {"requests": limits, "limits": limits},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [
            {"name": "hub", "mountPath": "/hub", "readOnly": True},
            {"name": "workspace", "mountPath": "/workspace"},
        ],
    }
    pod = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "fsGroup": 1000},
        "containers": [container],
        "volumes": [
            {"name": "hub", "secret": {"secretName": SECRET, "defaultMode": 0o440}},
            {"name": "workspace", "emptyDir": {}},
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": request.name, "labels": {"app": "candor"}},
        "spec": {
            "completionMode": "Indexed",
            "completions": request.workers,
            "parallelism": request.workers,
            "backoffLimitPerIndex": 20,
            "template": {"metadata": {"labels": {"app": "candor"}}, "spec": pod},
        },
    }


def launch(request: LaunchRequest, say: Callable[[str], None]) -> None:
    """Print the job as YAML.

    Args:
        request: what to start.
        say: takes the text.

    Raises:
        UserError: where no image is named, or the experiment is a file of this machine.
    """
    text = yaml.safe_dump(manifest(request), sort_keys=False, default_flow_style=False)
    say(
        "# The hub must listen on an address that pods can reach: candor hub --host 0.0.0.0 --name HOST\n"
        f"# kubectl create secret generic {SECRET} --from-file=hub.toml={request.hub}\n"
        f"# kubectl apply -f job.yaml\n{text}"
    )
