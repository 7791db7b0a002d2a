"""An empty argument, such as an unset variable of a shell, is refused: as a path it means this folder."""

import sys
from pathlib import Path

import pytest

from experiments.cli import main


@pytest.mark.parametrize(
    "words",
    [["predict", "--model", ""], ["export", ""], ["runs", "--workspace", ""], ["predict", "a", "", "--"]],
)
def test_an_empty_argument_is_wrong_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["candor", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "an argument is empty, perhaps a variable that is not set" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_goes_to_another_program_may_be_empty(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """`--` begins the options of sbatch."""
    monkeypatch.setattr(sys, "argv", ["candor", "list", "--", "--comment", ""])
    with pytest.raises(SystemExit):
        main()
    assert "an argument is empty" not in capfd.readouterr().err
