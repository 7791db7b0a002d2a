"""What users, scripts and stored studies rely on stays: ids, keys, names, columns, options, exit codes."""

import importlib.metadata
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from experiments import cli
from spaces.errors import UserError
from tests.golden import surface
from tests.support.processes.command_line import candor_here

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "surface.json").read_text(encoding="utf-8"))


def test_every_shipped_experiment_is_the_study_that_it_was() -> None:
    found = surface.study_ids()
    assert {name: found.get(name) for name in GOLDEN["study ids"]} == GOLDEN["study ids"]
    assert sorted(found) == sorted(GOLDEN["study ids"]), "pin the id of a new experiment too"


def test_the_same_images_are_the_same_data(tmp_path: Path) -> None:
    assert surface.digests(tmp_path) == GOLDEN["digests"]


def test_keys_of_an_experiment_file_and_their_defaults_stay() -> None:
    found = surface.toml_keys()
    for table, keys in GOLDEN["toml"].items():
        assert {key: found[table].get(key, "gone") for key in keys} == keys, f"[{table}]"


def test_names_in_mlflow_stay() -> None:
    assert set(GOLDEN["mlflow"]) - set(surface.mlflow_names()) == set()


@pytest.mark.parametrize("command", sorted(GOLDEN["commands"]))
def test_commands_take_what_they_took(command: str) -> None:
    found, golden = surface.commands()[command], GOLDEN["commands"][command]
    assert {option: found.get(option, "gone") for option in golden} == golden
    added = [option for option in found if option not in golden and found[option]["required"]]
    assert added == [], "scripts that run this command do not give it"


def test_the_order_of_arguments_stays() -> None:
    found = surface.commands()
    for command, golden in GOLDEN["commands"].items():
        arguments = [word for word in found[command] if not word.startswith("-")]
        assert arguments == [word for word in golden if not word.startswith("-")], command


@pytest.mark.slow
def test_columns_stay_in_their_order(tmp_path: Path) -> None:
    found = surface.columns(tmp_path)
    for table, golden in GOLDEN["columns"].items():
        kept = [column for column in found.get(table, []) if column in golden]
        assert kept == golden, table


@pytest.mark.parametrize("command", ["", *sorted(GOLDEN["commands"])])
def test_help_is_shown_and_ends_well(command: str) -> None:
    for flag in ("--help", "-h"):
        result = CliRunner().invoke(cli.app, [*([command] if command else []), flag])
        assert result.exit_code == 0
        assert "Usage:" in result.output


@pytest.mark.parametrize(
    "words",
    [
        ["no_such_command"],
        ["search"],
        ["search", "no_such_experiment", "--dry-run"],
        ["search", "joint", "--no-such-option"],
        ["search", "joint", "--workers", "none"],
        ["search", "joint", "--set", "protocol.no_such_key=1"],
        ["worker", "joint", "--storage", "sqlite:///x.db", "--tracking-uri", "http://127.0.0.1:1"],
        ["report", "joint", "--tracking-uri", "no_such_scheme"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2_and_one_sentence(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = candor_here(*words)
    assert done.returncode == 2
    assert done.stderr.strip()
    assert "Traceback" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "code"),
    [(UserError("no"), 2), (OSError(28, "No space left on device"), 1)],
    ids=["a mistake", "a full disk"],
)
def test_an_error_ends_with_the_code_of_its_kind(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> None:
        raise error

    monkeypatch.setattr("experiments.schema.catalog.entries", fails)
    done = candor_here("list")
    assert done.returncode == code
    assert done.stderr.startswith("candor: ")


def test_the_command_is_called_candor() -> None:
    (entry,) = importlib.metadata.distribution("candor").entry_points.select(group="console_scripts")
    assert (entry.name, entry.load()) == ("candor", cli.main)
