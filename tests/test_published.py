"""docs/published.md is what the records give, and nothing in it is typed by hand."""

import zipfile
from pathlib import Path

import pytest

from benchmarks import published
from experiments.workflows.records.pack import pack
from experiments.workflows.records.runs import stored_studies
from experiments.workflows.study.context import RunContext
from search.archives.container import SUFFIX
from search.workspace import Workspace
from tests.support.studies.mlflow_study import write
from tests.support.studies.simulated import Simulation

ROW = {
    "architecture": "plain, published",
    "family": "plain_cnn",
    "variant": "",
    "val_accuracy": 0.62,
    "n": 7066,
    "test_accuracy": 0.66,
    "n_test": 7178,
    "leak": "tested on training images",
}


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packed study of an experiment with six cells, three seeds and published rows."""
    folder = tmp_path_factory.mktemp("published")
    rows = (ROW, {"architecture": "people", "group": "people", "note": "65 +- 5%", "test_accuracy": 0.65})
    write(folder, Simulation("stages", "57a6e5", grid=True, seeds=3, images=200, epochs=4, published=rows))
    workspace = Workspace.at(folder)
    (stored,) = stored_studies(workspace, workspace.tracking_uri)
    return pack(stored, RunContext(workspace), folder / f"stages{SUFFIX}", say=lambda _: None)


def test_a_part_shows_published_rows_beside_ours(record: Path) -> None:
    lines = "\n".join(published.part(published.RealSize("stages", "half of it"), record)).splitlines()
    table = [line for line in lines if line.startswith("|")]
    columns = table[0].count("|")
    assert {line.count("|") for line in table} == {columns}
    assert table[2].startswith(
        "| plain, published | 62.0 (60.9 to 63.1) | 66.0 (64.9 to 67.1) (tested on training images) | plain"
    )
    ours = [line.split("|") for line in table[2:] if "nothing of ours" not in line]
    assert [cells[7].strip() for cells in ours] == ["3"] * 6
    assert all(" to " in cells[6] for cells in ours)
    assert table[-1].startswith("| people | – | 65.0 | nothing of ours to run: 65 +- 5% |")
    told = "\n".join(lines)
    assert "Record: `experiments/records/stages.study.zip`." in told
    assert "Judged on" in told.rpartition("|")[2], "the report's sentences conclude"


def test_the_document_has_a_part_for_each_record_and_says_what_was_not_run(
    record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        published,
        "STUDIES",
        (published.RealSize("stages", "half of it"), published.RealSize("conv_stages", "")),
    )
    monkeypatch.setattr(published, "RECORDS", record.parent)
    once = published.document("# Title\n\n## How to read it\n\nSo.\n\n## stages\n\nas it was\n")
    assert once.startswith("# Title\n\n## How to read it\n\nSo.\n\n## stages\n\nWhich")
    assert "as it was" not in once
    told = once.partition("## conv_stages")[2]
    assert "Not run on all images yet" in told
    assert (
        "| plain 64-64 · 128-128 | 59.2 (58.0 to 60.3) | 65.9 (64.8 to 67.0) (tested on training images) |"
        in told
    )
    assert published.document(once) == once


def test_the_document_is_what_its_records_give() -> None:
    text = published.DOCUMENT.read_text(encoding="utf-8")
    assert published.document(text) == text


def test_the_records_hold_no_image_of_the_data() -> None:
    records = sorted(published.RECORDS.glob("*.zip"))
    assert records
    for record in records:
        with zipfile.ZipFile(record) as archive:
            shown = [
                name
                for name in archive.namelist()
                if not name.endswith((".json", ".csv", ".toml", ".npz", ".db"))
            ]
        assert shown == []
