"""What somebody else put into a folder is neither overwritten nor removed unasked."""

from pathlib import Path

import pytest

from search.safety.output import MANIFEST, OutputFolder
from spaces.errors import UserError


def test_a_command_replaces_its_own_files_and_no_others(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with OutputFolder(tmp_path) as files:
            files.write("a/page.html", text)
    assert (tmp_path / "a" / "page.html").read_text() == "two"
    (tmp_path / "photo.png").write_text("mine")
    with OutputFolder(tmp_path) as files, pytest.raises(UserError, match="was not written by Candor"):
        files.write("photo.png", "theirs")
    (tmp_path / "a" / "page.html").write_text("mine")
    with OutputFolder(tmp_path) as files, pytest.raises(UserError, match="or was changed since"):
        files.write("a/page.html", "three")
    assert (tmp_path / "photo.png").read_text() == (tmp_path / "a" / "page.html").read_text() == "mine"
    with OutputFolder(tmp_path, force=True) as files:
        files.write("a/page.html", "three")
    with OutputFolder(tmp_path) as files:
        files.write("a/page.html", "four")
    assert (tmp_path / "a" / "page.html").read_text() == "four"


def test_only_its_own_files_become_stale(tmp_path: Path) -> None:
    with OutputFolder(tmp_path) as files:
        for name in ("kept.png", "old.png", "changed.png", "other/old.png"):
            files.write(f"figures/{name}", "ours")
    (tmp_path / "figures" / "changed.png").write_text("mine")
    (tmp_path / "figures" / "mine.png").write_text("mine")
    with OutputFolder(tmp_path) as files:
        files.write("figures/kept.png", "ours")
        files.remove_stale("figures/")
    left = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert left == ["changed.png", "kept.png", "mine.png", "other"]
    assert not (tmp_path / "figures" / "other" / "old.png").exists()


def test_nothing_is_written_where_one_of_several_is_somebody_elses(tmp_path: Path) -> None:
    staged, out = tmp_path / "staged", tmp_path / "out"
    for folder in (staged, out):
        folder.mkdir()
    for name in ("a.csv", "b.csv"):
        (staged / name).write_text("ours")
    (out / "b.csv").write_text("mine")
    with OutputFolder(out) as files, pytest.raises(UserError):
        files.take(staged)
    assert not (out / "a.csv").exists()
    assert (out / "b.csv").read_text() == "mine"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"files": 3}', '{"files": {"x": [[]]}}', "[" * 100_000, "\0"]
)
def test_a_damaged_list_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    (tmp_path / "x").write_text("mine")
    with OutputFolder(tmp_path) as files, pytest.raises(UserError):
        files.write("x", "ours")


def test_a_link_to_elsewhere_is_not_written_through(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "page.html").symlink_to(tmp_path / "victim")
    for force in (False, True):
        with OutputFolder(out, force=force) as files, pytest.raises(UserError, match="leads out of"):
            files.write("page.html", "ours")
    assert not (tmp_path / "victim").exists()


def test_what_is_no_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("file", "file/below", "nowhere", "loop", "x" * 300):
        with pytest.raises(UserError, match="cannot be used as a folder"):
            OutputFolder(tmp_path / name)
    with pytest.raises(UserError, match="cannot be used as a folder"):
        OutputFolder(Path("/dev/null"))
    (tmp_path / "folder.png").mkdir()
    with OutputFolder(tmp_path, force=True) as files, pytest.raises(UserError, match="is a folder"):
        files.write("folder.png", "ours")
