"""What docs/notebook.md shows runs as it stands: a family of one's own, an experiment, a study, its table."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.trains
def test_the_notebook_runs_from_the_first_cell_to_the_last(tmp_path: Path) -> None:
    document = (ROOT / "docs" / "notebook.md").read_text(encoding="utf-8")
    family, *cells = re.findall(r"```python\n(.*?)```", document, re.DOTALL)
    (tmp_path / "families").mkdir()
    (tmp_path / "families" / "wide.py").write_text(family)
    (tmp_path / "notebook.py").write_text("\n".join(cells))
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "notebook.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "wide 16 · 32" in done.stdout
