"""Every public function of five or more parameters says what each of them means."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("candor", "experiments", "reports", "search", "spaces")
MANY = 5


def public(node: ast.AST, owner: ast.ClassDef | None = None) -> Iterator[tuple[ast.FunctionDef, str]]:
    """Public functions with the docstring that explains their arguments: a class explains its __init__'s."""
    for one in ast.iter_child_nodes(node):
        if isinstance(one, ast.ClassDef) and not one.name.startswith("_"):
            yield from public(one, one)
        elif isinstance(one, ast.FunctionDef) and one.name == "__init__" and owner is not None:
            yield one, f"{ast.get_docstring(owner) or ''}\n{ast.get_docstring(one) or ''}"
        elif isinstance(one, ast.FunctionDef) and not one.name.startswith("_"):
            yield one, ast.get_docstring(one) or ""


def unexplained(function: ast.FunctionDef, docstring: str) -> list[str]:
    named = function.args
    names = [a.arg for a in (*named.posonlyargs, *named.args, *named.kwonlyargs)]
    names += [a.arg for a in (named.vararg, named.kwarg) if a is not None]
    names = [name for name in names if name not in ("self", "cls") and not name.startswith("_")]
    section = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", docstring, re.DOTALL | re.MULTILINE)
    said = (
        set(re.findall(r"^\s+\*{0,2}(\w+)(?: \(.*?\))?:", section.group(1), re.MULTILINE))
        if section
        else set()
    )
    return [name for name in names if name not in said] if len(names) >= MANY else []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_argument_of_many_goes_unexplained(package: str) -> None:
    missing = {
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name}": names
        for path in sorted((ROOT / package).rglob("*.py"))
        for function, docstring in public(ast.parse(path.read_text(encoding="utf-8")))
        if (names := unexplained(function, docstring))
    }
    assert missing == {}
