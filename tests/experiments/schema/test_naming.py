"""An experiment goes by the name that its file says, whichever command is given the file."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from experiments.cli import app
from experiments.schema.experiment_name import name_of
from spaces.errors import UserError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "widths.toml"
    path.write_text('name = "called"\nquestion = "Mine?"\nspace = "plain_cnn"\n')
    return path


def test_a_file_says_its_name_and_any_other_word_is_one(file: Path) -> None:
    assert name_of(str(file)) == "called"
    assert [name_of(word) for word in ("conv_stages", "no_such")] == ["conv_stages", "no_such"]
    file.write_text('question = "Mine?"\nspace = "plain_cnn"\n')
    assert name_of(str(file)) == "widths"


@pytest.mark.parametrize(
    ("arguments", "operation"),
    [
        (["unseal", "FILE"], "experiments.workflows.study.unseal.open_test_set"),
        (["score", "model.keras", "FILE"], "experiments.workflows.models.score.score"),
        (["compare", "a", "b", "--experiment", "FILE"], "experiments.workflows.models.compare.compare"),
        (["report", "FILE"], "reports.build"),
    ],
)
def test_commands_go_by_the_name_in_the_file(
    arguments: list[str], operation: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*given: object, **_: object) -> None:
        raise UserError(repr(given))

    monkeypatch.setattr(operation, asked)
    line = [str(file) if word == "FILE" else word for word in arguments]
    with pytest.raises(UserError, match="'called'"):
        CliRunner().invoke(app, [*line, "--workspace", str(tmp_path / "runs")], catch_exceptions=False)
