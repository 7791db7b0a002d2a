"""A folder of somebody's project, with modules that are called as Candor's packages are."""

from pathlib import Path


def make_foreign_project(folder: Path) -> Path:
    """Write packages and a module that end the process when they are imported."""
    for name in ("reports", "spaces"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(
            f'raise SystemExit("imported the project\'s own {name}")\n'
        )
    (folder / "search.py").write_text('raise SystemExit("imported the project\'s own search")\n')
    (folder / "experiments").mkdir()
    return folder
