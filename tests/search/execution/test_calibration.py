"""Cores are neither idle nor fought over: how children share them is measured, and noise decides nothing."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from search.execution.fork_client import ForkServer
from search.study.planning.config import StudyConfig
from search.workers.thread_benchmark import arrangements, benchmark_threads, best_threads


def test_one_thread_is_kept_unless_more_are_clearly_faster() -> None:
    """A study's threads must not hang on noise; what could not be measured wins nothing."""
    assert arrangements(2) == ((2, 1), (1, 2))
    assert arrangements(6) == ((6, 1), (3, 2))
    assert best_threads({(2, 1): 100.0, (1, 2): 115.0}) == 1
    assert best_threads({(2, 1): 100.0, (1, 2): 130.0}) == 2
    assert best_threads({(2, 1): 0.0, (1, 2): 0.0}) == 1


@pytest.mark.trains
def test_the_calibration_trains_what_the_study_trains_and_leaves_nothing(
    server: ForkServer,
    config_for: Callable[..., StudyConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both ways to use two cores have a speed, from real children, and no file stays."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    baseline = {"family": "plain_cnn", "conv_stages": 2, "kernels_1": 8, "kernels_2": 8}
    config = replace(config_for(), space=("plain_cnn", "inception"), baseline=baseline)
    speeds = benchmark_threads(server, config, 2)
    assert speeds.keys() == {(2, 1), (1, 2)}
    assert min(speeds.values()) > 0
    assert list(tmp_path.iterdir()) == []
