"""A cache whose bytes changed is not believed: it is made again, and doctor names it."""

from pathlib import Path

import numpy as np
import pytest

from search.datasets.cache.checksums import CHECKSUMS, damaged_files
from search.datasets.cache.prepared import Part, Prepared
from search.datasets.prepare import prepare
from search.doctor import MENDED, OK, WRONG, examine
from search.workspace import Workspace
from spaces.errors import UserError

SOURCE = "synthetic:train=60,validation=30,test=20"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.at(tmp_path / "runs")


@pytest.fixture
def entry(workspace: Workspace) -> Prepared:
    return prepare(SOURCE, workspace.cache, say=lambda text: None)


def noise(path: Path) -> None:
    array = np.lib.format.open_memmap(path, mode="r+")
    array[...] = np.random.default_rng(0).integers(0, 255, array.shape)
    array.flush()


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def one_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [noise, cut_short, one_bit, Path.unlink], ids=lambda one: one.__name__)
@pytest.mark.parametrize("name", ["train/images.npy", "train/labels.npy", "sealed/images.npy"])
@pytest.mark.slow
def test_a_damaged_entry_is_made_again(
    workspace: Workspace, entry: Prepared, name: str, damage: object
) -> None:
    before = {path.name: np.load(path) for path in (entry.folder / "train").glob("*.npy")}
    damage(entry.folder / name)
    assert damaged_files(entry.folder) == [name]
    said: list[str] = []
    again = prepare(SOURCE, workspace.cache, say=said.append)
    assert any(f"is damaged ({name})" in line for line in said)
    assert (again.folder, again.digest) == (entry.folder, entry.digest)
    assert damaged_files(again.folder) == []
    for path in (again.folder / "train").glob("*.npy"):
        np.testing.assert_array_equal(np.load(path), before[path.name])
    said.clear()
    prepare(SOURCE, workspace.cache, say=said.append)
    assert said == []


def test_an_entry_of_an_earlier_version_is_made_again(workspace: Workspace, entry: Prepared) -> None:
    (entry.folder / CHECKSUMS).unlink()
    again = prepare(SOURCE, workspace.cache, say=lambda text: None)
    assert damaged_files(again.folder) == []


def test_doctor_names_a_damaged_entry_and_removes_it(workspace: Workspace, entry: Prepared) -> None:
    def found(fix: bool) -> list[tuple[str, str]]:
        shown = examine(workspace, None, None, fix)
        return [(one.verdict, one.detail) for one in shown if one.subject == "prepared images"]

    assert [verdict for verdict, _ in found(fix=False)] == [OK]
    cut_short(entry.folder / "validation" / "images.npy")
    ((verdict, detail),) = found(fix=False)
    assert verdict == WRONG
    assert "validation/images.npy" in detail
    assert [verdict for verdict, _ in found(fix=True)] == [MENDED]
    assert not entry.folder.exists()
    assert [verdict for verdict, _ in found(fix=False)] == [OK]


def test_a_part_that_was_cut_short_is_no_candidates_fault(entry: Prepared) -> None:
    cut_short(entry.folder / "train" / "images.npy")
    with pytest.raises(UserError, match=r"train are damaged .*candor doctor --fix"):
        Part.open(entry.folder / "train")
