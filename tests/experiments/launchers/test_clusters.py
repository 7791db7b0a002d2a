"""Workers on a real SLURM and a real Ray: each evaluation once, whatever is cancelled or out of time."""

import os
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from mlflow import MlflowClient

from search.hub.address import Hub
from search.tracking import names
from tests.support.processes import slurm
from tests.support.processes.hub import EXPERIMENT, candor, running

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.trains]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("hub")
    with running(place):
        yield place


@pytest.mark.timeout(1500)  # SLURM itself waits two minutes before it starts a requeued task
def test_a_slurm_array_shares_a_study_whatever_happens_to_its_tasks(hub: Path, tmp_path: Path) -> None:
    if slurm.missing():
        pytest.skip(slurm.missing())
    file = tmp_path / "on_slurm.toml"
    file.write_text(EXPERIMENT.replace("seeds = 3", "seeds = 6"))
    with slurm.cluster(tmp_path / "slurm") as found:
        launch = candor(
            "launch", "slurm", str(file), "--workers", "3", "--hub", str(hub),
            "--workspace", str(tmp_path / "runs"), "--cpus", "1", "--memory", "2",
            "--", "--time=3", "--signal=B:USR1@60",
            **found,
        )  # fmt: skip
        said = launch.communicate(timeout=200)[0]
        assert launch.returncode == 0, said
        job = said.split()[3]

        def tasks() -> list[str]:
            command = ["squeue", "--noheader", "--array", "-o", "%K %T"]
            done = subprocess.run(
                command, env={**os.environ, **found}, capture_output=True, text=True, check=True
            )
            return done.stdout.splitlines()

        _wait(lambda: len(_finished(hub, "on_slurm")) >= 1, 300)
        for command in (["scancel", f"{job}_1"], ["scontrol", "requeue", f"{job}_2"]):
            subprocess.run(command, env={**os.environ, **found}, check=True)
        _wait(lambda: not tasks(), 1000)
        done = _finished(hub, "on_slurm")
        assert len(done) == 12, [file.read_text() for file in (tmp_path / "runs" / "logs").glob("slurm-*")]
        assert set(done.values()) == {1}
    left = subprocess.run(["pgrep", "-f", str(file)], capture_output=True, text=True, check=False)
    assert left.stdout == ""


@pytest.mark.timeout(1500)
@pytest.mark.skipif(find_spec("ray") is None, reason="the extra `ray` is not installed")
def test_ray_tasks_share_a_study_and_a_node_that_dies_loses_nothing(hub: Path, tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    file = tmp_path / "on_ray.toml"
    file.write_text(EXPERIMENT)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = cluster.add_node(num_cpus=1)
    launch = candor(
        "launch", "ray", str(file), "--workers", "2", "--cpus", "1", "--memory", "1", "--hub", str(hub),
        "--workspace", str(tmp_path / "runs"), "--address", cluster.address,
    )  # fmt: skip
    try:
        _wait(lambda: len(_finished(hub, "on_ray")) >= 1, 600)
        cluster.remove_node(second, allow_graceful=False)
        cluster.add_node(num_cpus=1)
        said = launch.communicate(timeout=500)[0]
        assert launch.returncode == 0, said
    finally:
        launch.kill()  # nothing where it has ended
        cluster.shutdown()
    done = _finished(hub, "on_ray")
    assert len(done) == 6
    assert set(done.values()) == {1}


def _finished(hub: Path, experiment: str) -> Counter[str]:
    client = MlflowClient(Hub.read(hub).tracking_uri)
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return Counter()
    runs = client.search_runs([found.experiment_id], f"tags.`{names.KIND}` = 'evaluation'")
    return Counter(run.data.tags[names.KEY] for run in runs if run.info.status == "FINISHED")


def _wait(condition: object, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it took too long"
        time.sleep(1.0)
