"""Every common layout is read, in a folder, a zip or a tar, and gives the same splits, ids and digest."""

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.datasets.prepare import prepare
from search.datasets.readers import archive_tar
from search.sealed import sealed_test
from tests.support.images.small_pictures import (
    CLASSES,
    encoded,
    in_folder,
    in_tar,
    in_zip,
    packed,
    pictures,
    prepared,
    silent,
    tree,
)


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (("train", "test"), {"train": 9, "validation": 3, "test": 12}),
        (("train", "validation"), {"train": 12, "validation": 12, "test": 0}),
        (("train", "val", "test"), {"train": 12, "validation": 12, "test": 12}),
        (("Train", "Valid", "Testing"), {"train": 12, "validation": 12, "test": 12}),
        (("images/train", "images/validation"), {"train": 12, "validation": 12, "test": 0}),
        (("a/b/training", "a/b/test"), {"train": 9, "validation": 3, "test": 12}),
        (("",), {"train": 9, "validation": 3, "test": 0}),
        (("outer/inner",), {"train": 9, "validation": 3, "test": 0}),
        (("training_set/training_set", "test_set"), {"train": 9, "validation": 3, "test": 12}),
        (("a/Train images", "a/val.images", "a/images-test"), {"train": 12, "validation": 12, "test": 12}),
        (("train/train", "test/test"), {"train": 9, "validation": 3, "test": 12}),
        (("my_test_data/train", "my_test_data/val"), {"train": 12, "validation": 12, "test": 0}),
        (("train", "validation", "train_original"), {"train": 12, "validation": 12, "test": 0}),
        (("training/train", "training/val", "training/test"), {"train": 12, "validation": 12, "test": 12}),
        (("train/train", "train/val"), {"train": 12, "validation": 12, "test": 0}),
        (("train/train/train", "train/train/test/test"), {"train": 9, "validation": 3, "test": 12}),
        (("Test/Train", "Test/Test", "Test/Valid"), {"train": 12, "validation": 12, "test": 12}),
    ],
)
def test_layouts_give_their_splits_and_missing_validation_is_carved(
    splits: tuple[str, ...], expected: dict[str, int], tmp_path: Path
) -> None:
    data = prepared(in_zip(tree(splits), tmp_path / "data.zip"), tmp_path)
    assert (data.counts, data.class_names) == (expected, CLASSES)


def test_unlabelled_images_beside_the_splits_are_ignored_and_counted(tmp_path: Path) -> None:
    pred = {f"seg_pred/seg_pred/{n}.png": encoded(image) for n, image in enumerate(pictures(5, seed=5))}
    files = tree(("seg_train/seg_train", "seg_test/seg_test")) | pred
    data = prepared(in_zip(files, tmp_path / "intel.zip"), tmp_path)
    assert (data.counts, data.class_names) == ({"train": 9, "validation": 3, "test": 12}, CLASSES)
    assert any(note.startswith("5 images lie outside the class folders") for note in data.notes)


@pytest.mark.parametrize(
    ("splits", "loose"),
    [
        (("train", "valid"), "test/test"),
        (("train", "valid"), "test/test/test"),
        (("training_set/training_set", "val_set"), "test_set/test_set"),
        (("training/train", "training/val"), "training/test"),
    ],
)
def test_test_images_without_class_folders_are_ignored_and_counted(
    splits: tuple[str, ...], loose: str, tmp_path: Path
) -> None:
    unlabelled = {f"{loose}/{n}.png": encoded(image) for n, image in enumerate(pictures(5, seed=5))}
    data = prepared(in_zip(tree(splits) | unlabelled, tmp_path / "data.zip"), tmp_path)
    assert (data.counts, data.class_names) == ({"train": 12, "validation": 12, "test": 0}, CLASSES)
    assert any(note.startswith("5 images lie outside the class folders") for note in data.notes)


def test_below_a_folder_train_every_folder_is_a_class_whatever_it_is_called(tmp_path: Path) -> None:
    images = iter(pictures(36))
    files = {
        f"train/{name}/{view}/{number}.png": encoded(next(images))
        for name in ("bus", "test_bench", "train")
        for view in ("front", "side", "val")
        for number in range(4)
    }
    data = prepared(in_zip(files, tmp_path / "data.zip"), tmp_path)
    assert data.class_names == ("bus", "test_bench", "train")
    assert data.counts == {"train": 30, "validation": 6, "test": 0}
    assert "train/train/val/0.png" in {*data.train().ids, *data.validation().ids}


def test_a_folder_that_all_classes_have_inside_is_no_class(tmp_path: Path) -> None:
    files = {path.replace("/", "/images/"): content for path, content in tree(("",)).items()}
    data = prepared(in_zip(files, tmp_path / "data.zip"), tmp_path)
    assert (data.counts, data.class_names) == ({"train": 9, "validation": 3, "test": 0}, CLASSES)


@pytest.mark.parametrize("name", ["data", "data.tar"])
def test_names_that_are_not_utf_8_are_written_by_their_bytes(name: str, tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9")
    files = {path.replace("cat", odd): content for path, content in tree(("train", "test")).items()}
    files[f"train/dog/{odd}.png"] = encoded(pictures(1, seed=5)[0])
    outer = {f"{odd}/{path}": content for path, content in files.items()}
    data = prepared(packed(outer, tmp_path / name), tmp_path)
    assert data.class_names == ("caf\\xe9", "dog", "owl")
    ids = {*data.train().ids, *data.validation().ids}
    assert {"train/caf\\xe9/0.png", "train/dog/caf\\xe9.png"} <= ids
    assert any("under caf\\xe9/test/, caf\\xe9/train/" in note for note in data.notes)
    assert (data.folder / "audit/classes.csv").read_text(encoding="utf-8").count("caf\\xe9") == 1


def test_folder_zip_and_tar_of_one_set_have_one_digest_and_one_split(tmp_path: Path) -> None:
    files = tree(("train", "test"))
    backwards = dict(reversed(files.items()))
    sources = [
        in_folder(files, tmp_path / "somewhere"),
        in_zip(backwards, tmp_path / "data.zip"),
        in_zip({f"else/where/{name}": content for name, content in files.items()}, tmp_path / "deep.zip"),
        in_tar(files, tmp_path / "data.tar"),
        in_tar(backwards, tmp_path / "data.tar.gz"),
    ]
    found = {
        (data.digest, data.split_digest, data.test_digest)
        for number, source in enumerate(sources)
        for data in [prepare(source, tmp_path / f"cache{number}", say=silent)]
    }
    assert len(found) == 1


@pytest.mark.parametrize("name", ["set.tar", "set.tar.gz"])
def test_a_split_made_of_hard_links_is_the_same_in_a_folder_and_in_a_tar(name: str, tmp_path: Path) -> None:
    folder = in_folder(tree(("all",)), tmp_path / "set")
    for file in sorted(folder.glob("all/*/*.png")):
        link = folder / ("test" if file.stem == "0" else "train") / file.relative_to(folder / "all")
        link.parent.mkdir(parents=True, exist_ok=True)
        os.link(file, link)
    with tarfile.open(tmp_path / name, "w:gz" if name.endswith("gz") else "w") as archive:
        archive.add(folder, "set")
        assert sum(member.islnk() for member in archive.getmembers()) == 12
    one, other = (
        prepare(source, tmp_path / f"cache of {source.name}", say=silent)
        for source in (folder, tmp_path / name)
    )
    assert (one.counts, one.digest, one.split_digest) == (other.counts, other.digest, other.split_digest)
    assert one.counts["test"] == 3
    assert not any("links in the archive" in note for note in other.notes)


def test_a_hard_link_in_a_tar_may_name_a_hard_link_but_nothing_that_is_not_there(tmp_path: Path) -> None:
    path = in_tar(tree(("all",)), tmp_path / "data.tar")
    with tarfile.open(path, "a") as archive:
        for name, target in (
            ("train/cat/1.png", "all/cat/1.png"),
            ("train/cat/2.png", "train/cat/1.png"),
            ("train/dog/1.png", "all/dog/1.png"),
            ("train/dog/2.png", "train/dog/9.png"),
            ("train/dog/3.png", "../../etc/passwd"),
        ):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.LNKTYPE, target
            archive.addfile(link)
    catalogue = archive_tar.read(path)
    assert catalogue.ids == ("train/cat/1.png", "train/cat/2.png", "train/dog/1.png")
    assert len({raw for _, raw in catalogue.fetch([0, 1, 2]) if isinstance(raw, bytes)}) == 2
    assert any("2 links to folders" in note and "train/dog/9.png" in note for note in catalogue.notes)


def test_file_names_that_say_their_role_overrule_the_folder(tmp_path: Path) -> None:
    images = iter(pictures(18))
    files = {
        f"{folder}/{name}/{prefix}_{number}.png": encoded(next(images))
        for folder, prefix in (("train", "Training"), ("test", "PublicTest"), ("test", "PrivateTest"))
        for name in CLASSES
        for number in range(2)
    }
    data = prepared(in_zip(files, tmp_path / "fer.zip"), tmp_path)
    assert data.counts == {"train": 6, "validation": 6, "test": 6}
    assert all("PublicTest_" in name for name in data.validation().ids)
    assert all(name.startswith("test/") and "PrivateTest_" in name for name in sealed_test(data).ids)
    assert any("PublicTest_* are validation" in note for note in data.notes)


@pytest.mark.parametrize("kind", ["jpg", "png", "bmp", "webp", "pgm"])
def test_image_types_are_read(kind: str, tmp_path: Path) -> None:
    data = prepared(in_folder(tree(("train",), kind=kind), tmp_path / "data"), tmp_path)
    assert data.image_shape[:2] == (32, 32)
    assert data.counts["train"] + data.counts["validation"] == 12


def test_class_folders_of_other_case_in_other_splits_are_the_same_class(tmp_path: Path) -> None:
    files = {name.replace("train/cat", "train/Cat"): content for name, content in tree().items()}
    data = prepared(in_folder(files, tmp_path / "data"), tmp_path)
    assert sorted(data.class_names) == ["Cat", "dog", "owl"]
    assert data.validation().ids[0] == "validation/Cat/0.png"


def test_other_files_are_ignored_and_counted(tmp_path: Path) -> None:
    junk = {"train/cat/notes.txt": b"x", "train/.DS_Store": b"x", "__MACOSX/train/cat/._0.png": b"x"}
    data = prepared(in_zip(tree() | junk, tmp_path / "data.zip"), tmp_path)
    assert "1 files that are no images were ignored: .txt (1)." in data.notes
    assert "1 hidden image files, or copies that macOS adds, were ignored." in data.notes


@pytest.mark.parametrize("name", ["data", "data.zip", "data.tar.gz"])
def test_a_tree_that_lies_twice_is_read_once(name: str, tmp_path: Path) -> None:
    files = tree()
    twice = files | {f"images/{path}": content for path, content in files.items()}
    data = prepared(packed(twice, tmp_path / name), tmp_path)
    assert sum(data.counts.values()) == len(files)
    assert any("lie twice" in note for note in data.notes)


def test_members_of_a_tar_are_not_searched_for_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def search(archive: tarfile.TarFile, name: str) -> tarfile.TarInfo:
        pytest.fail(f"{name} is looked for among all members")

    monkeypatch.setattr(tarfile.TarFile, "getmember", search)
    files = tree()
    assert sum(prepared(in_tar(files, tmp_path / "data.tar"), tmp_path).counts.values()) == len(files)


@pytest.mark.parametrize("classes", [3, 7, 100])
def test_any_number_of_classes(classes: int, tmp_path: Path) -> None:
    images = pictures(classes * 3, side=8).reshape(classes, 3, 8, 8)
    files = {f"{k:03d}/{n}.png": encoded(images[k, n]) for k in range(classes) for n in range(3)}
    data = prepared(in_zip(files, tmp_path / "data.zip"), tmp_path)
    assert len(data.class_names) == classes
    assert set(data.train().labels.tolist()) == set(range(classes))


def test_sizes_and_colour_modes_become_one_and_the_notes_say_how(tmp_path: Path) -> None:
    files = tree(("train",), each=8)
    colour = np.stack([pictures(1, side=50, seed=9)[0]] * 3, axis=-1)
    files["train/cat/colour.png"] = encoded(colour)
    data = prepared(in_folder(files, tmp_path / "data"), tmp_path)
    assert data.image_shape == (32, 32, 1)
    assert any("1 images were resized to 32x32" in note and "50x50" in note for note in data.notes)
    assert any("converted to gray, from RGB (1)" in note for note in data.notes)


def test_a_requested_shape_is_given(tmp_path: Path) -> None:
    data = prepared(in_folder(tree(("train",)), tmp_path / "data"), tmp_path, image_size=(20, 24), channels=3)
    assert data.train().images.shape[1:] == (20, 24, 3)
    assert data.image_shape == (20, 24, 3)


def test_sixteen_bits_become_eight_by_their_upper_half(tmp_path: Path) -> None:
    deep = np.full((32, 32), 0x80FF, np.uint16)
    deep[:, :16] = 0x10FF
    files = tree(("train",)) | {"train/cat/deep.png": encoded(deep)}
    data = prepared(in_folder(files, tmp_path / "data"), tmp_path, leaks="report")
    parts = (data.train(), data.validation())
    image = next(part.images[row] for part in parts for row, name in enumerate(part.ids) if "deep" in name)
    assert (image[0, 0, 0], image[0, -1, 0]) == (0x10, 0x80)


def test_photographs_lie_as_their_camera_was_held(tmp_path: Path) -> None:
    picture = pictures(1, side=64)[0]
    picture[:32] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    turned = in_folder(tree(("train",), side=64, kind="jpg"), tmp_path / "data")
    Image.fromarray(picture[::-1, ::-1]).save(turned / "train/cat/turned.jpg", exif=exif, quality=95)
    data = prepared(turned, tmp_path)
    parts = (data.train(), data.validation())
    image = next(part.images[row] for part in parts for row, name in enumerate(part.ids) if "turned" in name)
    assert image[:30].mean() > 250 > image[34:].mean()


def test_a_limit_keeps_the_shares_of_splits_and_classes(tmp_path: Path) -> None:
    source = in_zip(tree(each=20), tmp_path / "data.zip")
    data = prepared(source, tmp_path, limit=90)
    assert data.counts == {"train": 30, "validation": 30, "test": 30}
    assert np.bincount(data.train().labels).tolist() == [10, 10, 10]
    other = prepared(source, tmp_path, limit=90, seed=1)
    assert set(data.train().ids) != set(other.train().ids)


@pytest.mark.parametrize(("tint", "channels"), [(0, 1), (60, 3)])
def test_gray_pictures_that_are_stored_in_colour_are_read_as_gray(
    tint: int, channels: int, tmp_path: Path
) -> None:
    files = {}
    for number, image in enumerate(pictures(12)):
        colour = np.stack([image, image, np.maximum(image, tint)], axis=-1)
        files[f"{CLASSES[number % 3]}/{number}.jpg"] = encoded(colour, "jpg", quality=95)
    assert prepared(in_folder(files, tmp_path / "data"), tmp_path).image_shape == (32, 32, channels)
