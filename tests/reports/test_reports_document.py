"""docs/reports.md and docs/mlflow.md say what is so: columns, dtypes, names, and an example that runs."""

import re
from pathlib import Path

import pandas as pd
import pytest

from reports.records import frames
from reports.rows import COLUMNS
from search.tracking import names

DOCS = Path(__file__).parents[2] / "docs"


def cells(text: str, heading: str) -> list[list[str]]:
    """The rows of the table under this header line."""
    rows = text.partition(heading)[2].lstrip("\n").splitlines()[1:]
    found = []
    for row in rows:
        if not row.startswith("|"):
            break
        found.append([cell.strip() for cell in row.strip("|").split(" | ")])
    return found


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_columns_of_the_comparison_are_all_described_in_their_order() -> None:
    rows = cells((DOCS / "reports.md").read_text(), "| column | unit or type | meaning |")
    assert [named(row[0])[0] for row in rows] == list(COLUMNS)
    assert all(row[2].strip() for row in rows)


def test_the_dtypes_of_the_evaluations_are_those_of_the_document() -> None:
    rows = cells((DOCS / "reports.md").read_text(), "| column | dtype |")
    told = {column: row[1].strip(" |") for row in rows for column in named(row[0])}
    assert told == frames.DTYPES


def test_the_notebook_example_runs(tracking_uri: str) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "reports.md").read_text(), re.DOTALL)
    code = "\n".join(blocks).replace("sqlite:////path/to/runs/mlflow.db", tracking_uri)
    scope: dict[str, object] = {}
    exec(compile(code, "docs/reports.md", "exec"), scope)
    assert isinstance(scope["confirmed"], pd.DataFrame)
    assert len(scope["confirmed"]) == 16


def test_every_name_of_the_contract_is_in_the_document() -> None:
    told = " ".join(named((DOCS / "mlflow.md").read_text()))
    values = [value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)]
    assert [value for value in values if value not in told and value != names.GALLERY_TEXT] == []
    assert [metric for metric in names.EPOCH_METRICS if metric not in told] == []
    assert [state for state in names.STATES if state not in told] == []


def test_every_tag_in_the_document_is_in_the_contract() -> None:
    told = set(re.findall(r"`(candor\.\w+)`", (DOCS / "mlflow.md").read_text()))
    assert told <= {value for value in vars(names).values() if isinstance(value, str)}


@pytest.mark.parametrize("name", ["mlflow.md", "reports.md", "statistics.md"])
def test_links_of_the_documents_lead_somewhere(name: str) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", (DOCS / name).read_text()):
        assert (DOCS / link).exists(), link
