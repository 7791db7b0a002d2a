"""Children get the GPUs that a machine has, each its own, and no more cores than there are."""

from pathlib import Path

import pytest

from search.execution.devices import cores, environments
from search.execution.fork_client import ForkServer
from search.study.optuna.storage import open_storage
from search.study.stages.confirm import Confirm
from search.workers.coordinator import Coordinator
from tests.support.studies import small_study


def test_each_gpu_has_as_many_workers_as_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Left open, there is a worker for every share of every GPU; a number given is dealt out in turn."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,GPU-7")
    seen = [place["CUDA_VISIBLE_DEVICES"] for place in environments(None, 1, gpu_share=2)]
    assert seen == ["0", "GPU-7", "0", "GPU-7"]
    assert [place["CUDA_VISIBLE_DEVICES"] for place in environments(3, 1)] == ["0", "GPU-7", "0"]
    assert {place["XLA_PYTHON_CLIENT_MEM_FRACTION"] for place in environments(None, 1, gpu_share=2)} == {
        "0.45"
    }


def test_without_gpus_there_is_a_child_for_the_threads_of_every_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is pinned, and no core has two threads."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert environments(None, cores()) == ({},)
    assert environments(3, 1) == ({}, {}, {})
    assert 1 <= len(environments(None, 1)) <= cores()


def test_a_child_sees_the_gpu_of_its_worker_alone(
    stand_ins: ForkServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What children themselves say that they may see: half of them one GPU, half of them the other."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    told = tmp_path / "devices"
    setting = small_study.config(
        [{"cell": n, "devices": str(told), "seconds": 0.3} for n in range(4)], seeds=1
    )
    stage = Confirm(setting, open_storage(f"sqlite:///{tmp_path / 'studies.db'}"), tmp_path, "gpus/confirm")
    stage.plan_cells()
    places = environments(None, 1)
    Coordinator(stand_ins, len(places), [], environments=places).run(stage)
    assert set(told.read_text().split()) == {"0", "1"}
