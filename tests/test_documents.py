"""The documents agree with the program: every experiment is in the README, every link leads somewhere."""

import re
from pathlib import Path

import pytest

from experiments.schema import catalog

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


def test_the_readme_lists_every_experiment_with_its_question() -> None:
    rows = [f"| `{entry.name}` | {entry.question} |" for entry in catalog.entries()]
    found = re.findall(r"^\| `\w+` \|.*\|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert found == rows


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_that_exist(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []
