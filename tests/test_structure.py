"""How the program is built: no circles among its modules, and one class for one name."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("candor", "experiments", "reports", "search", "spaces")

#: What every module of a package of plug-ins offers under one name: {name: the package}.
PLUG_INS = {"Architecture": "spaces.families", "Numbers": "reports.figures"}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.fixture(scope="module")
def modules() -> dict[str, ast.Module]:
    """The syntax tree of each module of the program."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {module_name(path): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Every import, also inside functions and for types alone: a module, and the name taken from it or ""."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from ((node.module or "", alias.name) for alias in node.names)


def imports_of(name: str, trees: dict[str, ast.Module]) -> set[str]:
    found = ((module, f"{module}.{taken}") for module, taken in imported(trees[name]))
    return {inner if inner in trees else outer for outer, inner in found if outer in trees} - {name}


def circle(trees: dict[str, ast.Module]) -> list[str]:
    """The modules of one circle, in the order of their imports; empty without one."""
    try:
        TopologicalSorter({name: imports_of(name, trees) for name in trees}).prepare()
    except CycleError as error:
        return [str(name) for name in error.args[1]]
    return []


def test_no_module_imports_itself_by_way_of_others(modules: dict[str, ast.Module]) -> None:
    assert circle(modules) == []


@pytest.mark.parametrize(
    "back", ["import a.one", "from a.one import f", "from a import one", "def late():\n    import a.one"]
)
def test_a_circle_is_found(back: str) -> None:
    trees = {"a": "", "a.one": "from a.two import x", "a.two": "import a.three", "a.three": back}
    found = circle({name: ast.parse(text) for name, text in trees.items()})
    assert set(found) == {"a.one", "a.two", "a.three"}


def test_one_class_has_one_name(modules: dict[str, ast.Module]) -> None:
    places = defaultdict(list)
    for module, tree in modules.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(module)
    for name, package in PLUG_INS.items():
        places[name] = [module for module in places[name] if not module.startswith(f"{package}.")]
    assert {name: where for name, where in places.items() if len(where) > 1} == {}
