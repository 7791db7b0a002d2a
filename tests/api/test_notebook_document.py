"""The notebook of docs/notebook.md runs in a Jupyter kernel, in a project with modules named as Candor's."""

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.api.foreign_project import make_foreign_project

ROOT = Path(__file__).parents[2]


@pytest.mark.trains
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Jupyter's own packages
def test_the_notebook_runs_and_shows_verdict_table_and_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_foreign_project(tmp_path / "project")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    text = (ROOT / "docs" / "notebook.md").read_text(encoding="utf-8")
    cells = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    wrong = nbformat.v4.new_code_cell('candor.search("conv_stage", workers=2)')
    notebook.cells.append(wrong)
    client = NotebookClient(
        notebook, timeout=300, allow_errors=True, resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    *executed, mistake = (cell.outputs for cell in notebook.cells)
    errors = [output for outputs in executed for output in outputs if output.output_type == "error"]
    assert not errors, "\n".join(errors[0].traceback)
    (searched,) = (cell.outputs for cell in notebook.cells if "result = candor.search" in cell.source)
    shown = searched[-1]["data"]["text/html"]
    assert "wide 16 · 32" in shown
    assert "<table" in shown
    assert "Report: <a href" in shown
    assert "120 different validation images" in shown
    progress = [
        output["data"]["text/plain"] for output in searched[:-1] if output.output_type == "display_data"
    ]
    assert any(text.startswith("\x1b[1mconfirm: 6 evaluations") for text in progress), progress
    assert sum("complete | monitor" in text for text in progress) == 6
    assert [output.text for output in searched if output.output_type == "stream"] == []  # no library's noise
    predicted = notebook.cells[-2].outputs[-1]["data"]["text/html"]
    assert "confidence" in predicted
    assert "image 2" in predicted
    (sentence,) = mistake[0].traceback
    assert sentence.startswith('candor: There is no experiment "conv_stage"')
