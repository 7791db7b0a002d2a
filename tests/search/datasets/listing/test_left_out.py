"""Nothing is lost without a word: what is left out is named with its reason, near-misses are asked about."""

from pathlib import Path

import pytest

from search.datasets.listing.folder_files import files_of
from search.datasets.listing.left_out import _one_slip_apart
from search.datasets.part_checks import overview
from search.datasets.prepare import prepare
from spaces.errors import UserError
from tests.support.images.small_pictures import (
    encoded,
    in_folder,
    in_zip,
    packed,
    pictures,
    prepared,
    silent,
    tree,
)


def unreadable(name: str, suffix: str, count: int = 4) -> dict[str, bytes]:
    """Files of a class in a format that is not read."""
    return {f"{name}/{number}{suffix}": b"GIF89a" for number in range(count)}


@pytest.mark.parametrize("name", ["data", "data.zip", "data.tar"])
@pytest.mark.parametrize("suffix", [".gif", ".tif", ".TIFF", ".heic"])
def test_a_class_of_another_image_format_is_named_loudly(name: str, suffix: str, tmp_path: Path) -> None:
    source = packed(tree(("train",)) | unreadable("train/emu", suffix), tmp_path / name)
    notes = prepared(source, tmp_path).notes
    lost = "WARNING: The folder train/emu is no class: it holds no image that can be read here"
    lost = f"{lost} (4 {suffix.lower()})"
    assert any(note.startswith(lost) for note in notes)
    assert any("4 files that are no images" in note and f"{suffix.lower()} (4)" in note for note in notes)


def test_a_class_that_one_split_alone_cannot_read_is_named_there(tmp_path: Path) -> None:
    files = tree(("train", "test")) | unreadable("test/emu", ".gif")
    files |= {f"train/emu/{n}.png": encoded(image) for n, image in enumerate(pictures(4, seed=7))}
    notes = prepared(in_zip(files, tmp_path / "data.zip"), tmp_path).notes
    assert any("The folder test/emu is no class" in note for note in notes)
    assert any("The test part has no image of emu" in note for note in notes)


def test_in_one_folder_of_classes_too_and_texts_are_no_warning(tmp_path: Path) -> None:
    files = tree(("",)) | unreadable("emu", ".gif") | {"about/read.txt": b"x"}
    notes = prepared(in_folder(files, tmp_path / "data"), tmp_path).notes
    assert any(note.startswith("WARNING: The folder emu is no class") for note in notes)
    assert any(note.startswith("The folder about is no class") and "1 .txt" in note for note in notes)


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".JPEG"])
def test_jpegs_by_any_of_their_endings_are_read(suffix: str, tmp_path: Path) -> None:
    files = {name.replace(".jpg", suffix): raw for name, raw in tree(("train",), kind="jpg").items()}
    assert sum(prepared(in_folder(files, tmp_path / "data"), tmp_path).counts.values()) == 12


def test_a_folder_of_nothing_but_links_says_so(tmp_path: Path) -> None:
    real = in_folder(tree(("",)), tmp_path / "real")
    for folder in ("by_class", "by_file"):
        (tmp_path / folder).mkdir()
    for path in real.iterdir():
        (tmp_path / "by_class" / path.name).symlink_to(path)
    for path in real.rglob("*.png"):
        link = tmp_path / "by_file" / path.relative_to(real)
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(path)
    for folder in ("by_class", "by_file"):
        with pytest.raises(UserError, match=r"nothing but links to elsewhere \(cat.* -> \.\.\./.*cp -rL"):
            prepared(tmp_path / folder, tmp_path)


def test_a_linked_class_is_named_and_links_within_the_folder_are_followed(tmp_path: Path) -> None:
    data = in_folder(tree(("train",)), tmp_path / "data")
    (data / "train/emu").symlink_to(in_folder(tree(("",)), tmp_path / "emu"))
    (data / "train/cat/again.png").symlink_to(data / "train/dog/0.png")
    found = prepared(data, tmp_path)
    assert sum(found.counts.values()) == 13
    assert any(
        note.startswith("WARNING: The folder train/emu is no class")
        and "1 links that are not followed" in note
        for note in found.notes
    )


def test_what_is_there_in_place_of_images_is_named(tmp_path: Path) -> None:
    for files, message in (
        ({"inner.zip": b"x"}, r"1 other files \(inner.zip\): unpack inner.zip"),
        ({"a.csv": b"x", "b/c.csv": b"x"}, r"2 other files \(a.csv, b/c.csv\): give one of them"),
        ({"cat/1.gif": b"x", "dog/1.gif": b"x"}, r"\(cat/1.gif, dog/1.gif\): convert them"),
        ({"readme": b"x"}, r"\(readme\): expected a folder for each class"),
    ):
        for name in ("d.zip", "d"):
            where = tmp_path / name / str(len(message))
            where.parent.mkdir(exist_ok=True)
            source = in_zip(files, where.with_suffix(".zip")) if name == "d.zip" else in_folder(files, where)
            if (name, len(files)) == ("d", 1) and "inner.zip" in files:
                continue  # a folder with one archive is read as that archive
            with pytest.raises(UserError, match=message):
                prepared(source, tmp_path)


@pytest.mark.parametrize(
    ("splits", "odd", "asked"),
    [
        (("train", "test"), "dev", "validation"),
        (("train", "test"), "Vaild", "validation"),
        (("train", "test"), "validaton", "validation"),
        (("train", "test"), "val_set", "validation"),
        (("train", "test"), "eval", "validation"),
        (("train",), "tset", "test"),
        (("images/train",), "images/tests", "test"),
        (("train", "val"), "holdout", "test"),
        (("train",), "eval", "test or validation"),
        (("val", "test"), "trainset", "train"),
        (("Trian", "val"), "test", "train"),
    ],
)
def test_folders_that_are_almost_called_like_a_split_are_asked_about(
    splits: tuple[str, ...], odd: str, asked: str, tmp_path: Path
) -> None:
    source = in_zip(tree((*splits, odd)), tmp_path / "data.zip")
    with pytest.raises(UserError, match=rf"is it that\? Call it {asked} then"):
        prepared(source, tmp_path)


@pytest.mark.parametrize("beside", ["extra", "rain", "old_train", "valley", "docs"])
def test_other_folders_beside_the_splits_are_named_and_left_out(beside: str, tmp_path: Path) -> None:
    found = prepared(in_zip(tree(("train", "val", "test", beside)), tmp_path / "data.zip"), tmp_path)
    assert found.counts == {"train": 12, "validation": 12, "test": 12}
    assert any(f"{beside}/cat (4)" in note for note in found.notes)


def test_one_slip_is_one_letter() -> None:
    slips = ("vaild", "vlid", "valiid", "valod")
    assert all(_one_slip_apart(word, "valid") for word in slips)
    assert not any(_one_slip_apart(word, "valid") for word in ("valid", "invalid", "vlaidd", "dilav"))


def test_the_overview_lists_classes_in_order_with_their_counts_and_warnings_first(tmp_path: Path) -> None:
    files = tree(("train", "test")) | unreadable("train/emu", ".gif")
    found = prepared(in_folder(files, tmp_path / "pets"), tmp_path)
    lines = overview(found.name, found.class_names, found.audit, found.notes)
    assert lines[0] == "data: pets, 3 classes in this order:"
    assert lines[1].split() == ["class", "train", "validation", "test"]
    assert [line.split() for line in lines[2:5]] == [[name, "3", "1", "4"] for name in ("cat", "dog", "owl")]
    assert lines[5].startswith("  WARNING: ")
    assert len(lines) == 5 + len(found.notes)


def test_many_classes_are_listed_in_short() -> None:
    names = [f"class {number}" for number in range(100)]
    table = {"train": {name: number for number, name in enumerate(names)}}
    lines = overview("many", names, {"parts": table}, ())
    assert len(lines) == 33
    assert lines[-1].startswith("  and 70 more (train 30 to 99 images each): class 30, class 31")


def test_a_class_without_one_readable_image_is_blamed_on_that(tmp_path: Path) -> None:
    files = tree(("train",), each=150) | {"train/emu/1.png": b"no image", "train/emu/2.png": b""}
    with pytest.raises(UserError, match=r"no image of the class 'emu' can be read \(2 files\): repair"):
        prepared(in_folder(files, tmp_path / "data"), tmp_path)
    files = tree(("train", "test"), each=150) | {"train/emu/1.png": b"no image"}
    files |= {"test/emu/1.png": encoded(pictures(1, seed=5)[0])}
    with pytest.raises(UserError, match="left of the class 'emu': none of its 1 files can be read"):
        prepared(in_folder(files, tmp_path / "other"), tmp_path)


def test_notes_are_the_same_at_each_start(tmp_path: Path) -> None:
    files = tree(("train",), each=50) | {"train/cat/broken.png": b"no image"}
    data = in_folder(files, tmp_path / "data")
    first, second = (prepare(data, tmp_path / f"cache{n}", say=silent).notes for n in range(2))
    assert first == second
    assert any("cannot be used: train/cat/broken.png (cannot identify image file)" in note for note in first)


def test_the_walk_lists_files_and_names_links(tmp_path: Path) -> None:
    data = in_folder({"a/1.png": b"x", ".hidden/2.png": b"xy"}, tmp_path / "data")
    (data / "nowhere").symlink_to("/no/such/place")
    files, links = files_of(data)
    assert {path: size for path, (size, _) in files.items()} == {"a/1.png": 1, ".hidden/2.png": 2}
    assert links == {"nowhere": "/no/such/place"}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"val/cat/0.gif": b"GIF89a"}, "The folder val gives no validation part: it holds no image"),
        ({"unseen/cat/0.png": encoded(pictures(1, seed=9)[0])}, "1 images lie outside the class folders"),
        ({"test.zip": b"PK"}, "1 files that are no images were ignored: .zip (1)."),
        ({f"train/yak/{n}": b"\x89PNG" for n in range(3)}, "The folder train/yak is no class"),
    ],
)
def test_what_may_be_a_split_or_a_class_is_a_warning(
    more: dict[str, bytes], said: str, tmp_path: Path
) -> None:
    notes = prepared(in_folder(tree(("train",)) | more, tmp_path / "data"), tmp_path).notes
    assert any(note.startswith(f"WARNING: {said}") for note in notes)


def test_members_of_one_path_are_counted(tmp_path: Path) -> None:
    """Windows wrote one of them: train\\cat\\0.png beside train/cat/0.png."""
    files = tree(("train",))
    again = {name.replace("/", "\\"): files[name] for name in list(files)[:2]}
    notes = prepared(in_zip({**files, **again}, tmp_path / "data.zip"), tmp_path).notes
    assert any(note.startswith("WARNING: 2 members come again under the same path") for note in notes)
