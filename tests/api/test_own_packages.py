"""`import candor` finds Candor's own packages in a project that has modules of the same names."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.foreign_project import make_foreign_project

ROOT = Path(__file__).parents[2]
PROGRAM = """
import candor
import experiments, reports, search, spaces
for package in (experiments, reports, search, spaces):
    print(package.__path__[0])
from pathlib import Path
from search.execution.fork_client import ForkServer
server = ForkServer(Path("log.txt"), body="search.execution.messages")
server.start()
print(server.wait_until_ready(60))
server.close()
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python with Candor behind the current folder, as an installed package is."""
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("how", ["python -c", "a script", "a script elsewhere"])
def test_a_project_with_modules_of_the_same_names_gets_candors(tmp_path: Path, how: str) -> None:
    project = make_foreign_project(tmp_path / "project")
    script = project / "script.py"
    script.write_text(PROGRAM)
    folder = tmp_path if how == "a script elsewhere" else project
    done = run(folder, *(["-c", PROGRAM] if how == "python -c" else [str(script)]))
    assert done.returncode == 0, done.stderr
    *packages, ready = done.stdout.split()
    assert packages == [str(ROOT / name) for name in ("experiments", "reports", "search", "spaces")]
    assert ready == "True", (folder / "log.txt").read_text()


def test_a_module_that_was_imported_before_is_named(tmp_path: Path) -> None:
    (tmp_path / "search.py").write_text("")
    done = run(tmp_path, "-c", "import search, candor")
    assert done.returncode == 1
    message = done.stderr.splitlines()[-1]
    assert message.startswith("ImportError: Candor has a package 'search'")
    assert str(tmp_path / "search.py") in message


def test_importing_candor_loads_nothing_heavy() -> None:
    heavy = "('keras', 'tensorflow', 'mlflow', 'optuna', 'pandas', 'plotly')"
    done = run(ROOT, "-c", f"import candor, sys; print([name for name in {heavy} if name in sys.modules])")
    assert done.stdout.strip() == "[]", done.stderr
