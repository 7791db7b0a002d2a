"""`make bench` lists every benchmark with what it measures, and runs by name."""

import subprocess
import sys

from benchmarks.__main__ import benchmarks


def test_every_benchmark_says_what_it_measures() -> None:
    """One line each; what only helps benchmarks is not among them."""
    every = benchmarks()
    assert {"chaos", "coordinator", "many_machines", "training_speed"} <= {b.name for b in every}
    assert {"servers", "stand_in", "small_study"}.isdisjoint(b.name for b in every)
    assert all(benchmark.summary.endswith((".", "?")) for benchmark in every)
    assert any(benchmark.quick for benchmark in every)


def test_an_unknown_name_is_a_mistake() -> None:
    """It exits with 2 and says where the names are."""
    command = [sys.executable, "-m", "benchmarks", "spead"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "--list" in done.stderr) == (2, True)
