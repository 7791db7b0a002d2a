"""`candor audit` says what it found in each data set and between them, and leaves a page."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from experiments.cli import app
from spaces.errors import UserError

SMALL = "synthetic:train=60,validation=30,test=30,seed="


@pytest.mark.slow
def test_two_sets_are_audited_alone_and_against_each_other(tmp_path: Path) -> None:
    command = ["audit", f"{SMALL}1", f"{SMALL}2", "--workspace", str(tmp_path)]
    done = CliRunner().invoke(app, command, catch_exceptions=False)
    assert done.exit_code == 0
    page = tmp_path / "audit" / "audit.html"
    assert done.output.splitlines()[-1] == f"Audit: {page}"
    assert page.read_text().startswith("<!doctype html>")
    facts = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert (len(facts["sets"]), len(facts["across"])) == (2, 1)


def test_a_path_that_is_missing_is_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        CliRunner().invoke(
            app, ["audit", "nowhere.zip", "--workspace", str(tmp_path)], catch_exceptions=False
        )
