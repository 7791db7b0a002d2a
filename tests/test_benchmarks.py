"""`make bench` lists every benchmark with what it measures, and runs by name."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import recipe
from benchmarks.__main__ import Benchmark, main
from benchmarks.peers import CANDOR, Run, against_peers
from search.training.recipe import Recipe

Capture = pytest.CaptureFixture[str]


def test_every_module_with_a_main_is_a_benchmark_with_a_line_of_its_own(capsys: Capture) -> None:
    """What only helps benchmarks is not listed."""
    assert main(["--list"]) == 0
    listed = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    modules = {path.stem: path.read_text() for path in Path("benchmarks").glob("[!_]*.py")}
    assert listed.keys() == {name for name, text in modules.items() if "\ndef main(" in text}
    assert "worlds" in modules.keys() - listed.keys()
    assert len({line.partition(name)[2] for name, line in listed.items()}) == len(listed)


def test_the_quick_ones_run_unless_one_is_named_and_a_failure_is_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All of them run, whatever fails; a named one gets its arguments."""
    every = (Benchmark("a", "", True), Benchmark("b", "", False), Benchmark("c", "", True))
    ran: list[list[str]] = []

    def call(command: list[str]) -> int:
        ran.append(command[2:])
        return 3 if command[2] == "benchmarks.a" else 0

    monkeypatch.setattr("benchmarks.__main__.benchmarks", lambda: every)
    monkeypatch.setattr(subprocess, "call", call)
    assert (main([]), ran) == (3, [["benchmarks.a"], ["benchmarks.c"]])
    ran.clear()
    assert (main(["b", "--seeds", "2"]), ran) == (0, [["benchmarks.b", "--seeds", "2"]])


def test_an_unknown_name_is_a_mistake() -> None:
    """It exits with 2 and says where the names are."""
    command = [sys.executable, "-m", "benchmarks", "spead"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "--list" in done.stderr) == (2, True)


def test_a_search_is_measured_by_its_best_so_far() -> None:
    """Half of the time at 0.2, a quarter at 0.4, nothing in the first quarter."""
    run = Run("one", 0, 100.0, ((25.0, 0.2), (75.0, 0.4)), images=1000, networks=2, judged=0.3)
    assert run.best == 0.4
    assert math.isclose(run.area, 0.2 * 0.5 + 0.4 * 0.25)
    assert (run.until(0.2), run.until(0.3), run.until(0.5)) == (25.0, 75.0, math.inf)


def test_candor_is_compared_with_the_best_peer_of_each_seed() -> None:
    """The better of two peers ended with 0.4 after 80 s; what Candor had after 20 s."""
    ours = Run(CANDOR, 0, 100.0, ((20.0, 0.45),), images=1000, networks=2, judged=0.4)
    better = Run("better", 0, 100.0, ((10.0, 0.1), (80.0, 0.4)), images=500, networks=1, judged=0.3)
    worse = Run("worse", 0, 100.0, ((10.0, 0.3),), images=500, networks=1, judged=0.3)
    *_, row, mean = against_peers([ours, better, worse])
    assert row == "| 0 | better | 0.400 | 80 s | 20 s | 0.25 | 0.20 |"
    assert mean.endswith("| 0.25 | 0.20 |")


def test_a_field_of_the_recipe_is_added_to_the_plain_one_and_taken_from_the_full_one() -> None:
    """Each arm is a valid recipe that differs from its base by what the field sets."""
    compared = {arm.name: arm.recipe() for arm in recipe.arms()}
    assert all(Recipe.from_dict(fields) for fields in compared.values())
    assert compared["plain + mixup"] == {**compared["plain"], "mixup": 0.2}
    assert compared["full"] == {**compared["full - mixup"], "mixup": 0.2}
    assert compared["full - sgd"]["optimizer"] == compared["plain"]["optimizer"]
    assert [arm.name for arm in recipe.arms(["mixup"])] == [
        "plain",
        "plain + mixup",
        "full",
        "full - mixup",
    ]


def test_a_benchmark_of_the_recipe_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    path, keys = tmp_path / "deep" / "rows.csv", ("plain", "full", "0", "100", "2")
    row = {**dict(zip(recipe.KEY, keys, strict=True)), "accuracy": 0.5, "loss": 1.0, "images_per_second": 9.0}
    recipe.append(path, row)
    with path.open("a", encoding="utf-8") as file:
        file.write("plain,full,1,1")  # killed while it wrote
    recipe.append(path, {**row, "seed": "2"})
    assert [one["seed"] for one in recipe.read(path)] == ["0", "2"]


def test_fields_are_compared_seed_by_seed() -> None:
    """Half a point and a point and a half: one point, 6.4 to either side by Student's t of one degree."""

    def row(arm: str, seed: int, accuracy: float, speed: float) -> dict[str, str]:
        return {
            **{"network": "plain", "arm": arm, "seed": str(seed)},
            **{"accuracy": str(accuracy), "images_per_second": str(speed)},
        }

    rows = [row("plain", 0, 0.5, 100.0), row("plain", 1, 0.6, 100.0), row("plain", 2, 0.9, 100.0)]
    rows += [row("plain + mixup", 0, 0.505, 98.0), row("plain + mixup", 1, 0.615, 98.0)]
    *_, line = recipe.table(rows, "plain", recipe.arms(["mixup"]))
    assert line == "| plain + mixup | 2 | 56.0 | +1.0 (-5.4 to +7.4) | 0.98 |"
