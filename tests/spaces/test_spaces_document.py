"""What docs/spaces.md shows works, and what it says of sizes is so."""

import dataclasses
import re
from pathlib import Path

import pytest

from spaces.counting import count_before_building
from spaces.family import family_names, load_family

pytestmark = [
    pytest.mark.slow,  # imports Keras
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
DOCUMENT = (Path(__file__).parents[2] / "docs" / "spaces.md").read_text()


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *examples = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    (tmp_path / "my_networks.py").write_text(first)
    monkeypatch.chdir(tmp_path)
    for example in examples:
        exec(compile(example, "docs/spaces.md", "exec"), {})


def test_every_family_is_in_the_table() -> None:
    assert {name for name in family_names() if f"| `{name}." in DOCUMENT} == set(family_names())


@pytest.mark.parametrize(
    ("name", "parameters", "macs"), re.findall(r"\| `([\w.]+)` \|.*\| ([\d,]+) \| ([\d.,]+) M \|", DOCUMENT)
)
def test_sizes_are_as_the_table_says(name: str, parameters: str, macs: str) -> None:
    family = load_family(name.partition(".")[0])
    architecture = family.variants[name.partition(".")[2]]
    if hasattr(architecture, "weights"):
        architecture = dataclasses.replace(architecture, weights="none")
    counts = count_before_building(lambda: family.build(architecture, (48, 48, 1), 7))
    assert (f"{counts.parameters:,}", f"{counts.macs / 1e6:,.1f}") == (parameters, macs)
