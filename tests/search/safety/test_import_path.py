"""No process of Candor runs a module that lies in the current folder, unless a space names it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from search.safety.import_path import python_command, safe_environment, safe_path
from spaces.errors import UserError
from spaces.keras_tuner.source_digest import code_of
from spaces.space import Space
from spaces.user_code import imported

NAMES = (
    "search",
    "spaces",
    "experiments",
    "keras",
    "numpy",
    "json",
    "random",
    "copy",
    "selectors",
    "mlflow",
    "typer",
)


@pytest.fixture
def traps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, full of modules that leave a mark when they are run."""
    for name in NAMES:
        mark = "import pathlib; pathlib.Path(__file__).with_suffix('.ran').touch()"
        text = f"{mark}; raise SystemExit({name!r})\n"
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sprung(traps: Path) -> list[str]:
    return sorted(path.stem for path in traps.glob("*.ran"))


def run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


@pytest.mark.parametrize("python_path", ["", os.pathsep, "."])
def test_a_started_process_runs_nothing_of_the_current_folder(
    traps: Path, monkeypatch: pytest.MonkeyPatch, python_path: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", python_path)
    code = run(python_command("search.execution.devices", "main", []), safe_environment())
    assert "has no attribute 'main'" in code.stderr  # the right module was found, and only it
    named = run([sys.executable, "-P", "-m", "json.tool", "--help"], safe_environment())
    assert "usage" in named.stdout
    assert sprung(traps) == []


def test_the_command_line_runs_nothing_of_the_current_folder(traps: Path) -> None:
    """Started with -m, which puts that folder first; what it finds is this very installation."""
    (traps / "experiments.py").unlink()
    own = str(Path(__file__).parents[3])
    listed = run([sys.executable, "-m", "experiments", "list"], {**os.environ, "PYTHONPATH": own})
    assert "joint" in listed.stdout, listed.stderr
    assert sprung(traps) == []


def test_the_safe_path_lacks_the_current_folder_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = [entry for entry in sys.path if entry]
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), *before, "."])
    assert safe_path() == [entry for entry in before if Path(entry).resolve() != tmp_path.resolve()]


@pytest.mark.parametrize("name", ["random", "search", "numpy", "sys"])
def test_a_hidden_module_of_the_users_is_named(traps: Path, name: str) -> None:
    (traps / f"{name}.py").touch()
    with pytest.raises(
        UserError, match=rf"{name}\.py cannot be imported: .* has the name '{name}' too. Rename"
    ):
        imported(f"{name}:build")
    assert sprung(traps) == []


def test_a_module_that_misses_a_hidden_one_names_it(traps: Path) -> None:
    (traps / "my_networks.py").write_text("from random import my_own_helper\n")
    with pytest.raises(
        UserError, match=r"my_networks cannot be imported .* copy, .* random, .* rename your files"
    ):
        imported("my_networks:build")


def test_a_module_of_the_current_folder_is_found_last(traps: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", safe_path())
    (traps / "own_networks.py").write_text("import json, random\nbuild = json.dumps\n")
    assert imported("own_networks:build")([1]) == "[1]"
    assert sys.path[-1] == str(traps)
    assert sprung(traps) == []
    assert list(code_of(["own_networks:build"])) == ["own_networks:build"]


@pytest.mark.parametrize(
    "space", [":", "..:x", ":system", "os:", "a:b:c", "a b:c", "a/b:c", "1:x", "a.:x", "-m:x", "a:x.y"]
)
def test_a_space_that_names_no_module_is_one_sentence(space: str) -> None:
    with pytest.raises(UserError, match=r'Code of your own is written "package\.module:name"'):
        Space.parse(space)
