"""Launchers start workers and nothing else; what they write is what SLURM, Ray and Kubernetes take."""

import subprocess
from dataclasses import replace
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from experiments.launchers import kubernetes, ray, slurm
from experiments.launchers.request import LaunchRequest
from search.hub.address import Hub
from spaces.errors import UserError

HUB = Hub("postgresql+psycopg://candor@db:1/studies", "http://db:2", "candor", "very secret")


@pytest.fixture
def request_(tmp_path: Path) -> LaunchRequest:
    HUB.write(tmp_path / "hub.toml")
    return LaunchRequest("joint", 3, tmp_path / "hub.toml", "/data/my faces.zip", tmp_path / "runs", gpus=1)


def test_the_slurm_script_is_read_by_bash_and_names_every_resource(
    request_: LaunchRequest,
) -> None:
    text = slurm.script(request_)
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    for line in ("--array=1-3", "--cpus-per-task=2", "--gres=gpu:1", "--requeue", "--signal=B:USR1@120"):
        assert f"#SBATCH {line}\n" in text
    assert "--data '/data/my faces.zip'" in text
    assert "#SBATCH --gres" not in slurm.script(replace(request_, gpus=0))


def test_kubernetes_takes_the_job_and_it_holds_no_password(request_: LaunchRequest) -> None:
    said: list[str] = []
    kubernetes.launch(replace(request_, image="registry.example/candor@sha256:0"), said.append)
    job = yaml.safe_load(said[0])
    kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)
    assert job["spec"]["completionMode"] == "Indexed"
    assert job["spec"]["completions"] == job["spec"]["parallelism"] == 3
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["command"][:3] == ["candor", "worker", "joint"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert HUB.password not in said[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "needs --image"),
        ({"image": "x", "experiment": "my/widths.toml"}, "add the experiment to the image"),
    ],
)
def test_what_a_pod_cannot_have_is_said(
    changes: dict[str, str], message: str, request_: LaunchRequest
) -> None:
    with pytest.raises(UserError, match=message):
        kubernetes.manifest(replace(request_, **changes))  # type: ignore[arg-type]


def test_a_dry_run_of_ray_says_what_would_run_and_no_password(request_: LaunchRequest) -> None:
    said: list[str] = []
    ray.launch(replace(request_, dry_run=True), said.append)
    assert "3 tasks with 2 CPUs and 1 GPUs, each: candor worker joint" in said[0]
    assert HUB.password not in said[0]


def test_sbatch_that_is_not_there_costs_a_sentence(
    request_: LaunchRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="sbatch is not here"):
        slurm.launch(request_, print)
