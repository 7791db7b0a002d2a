"""Bad data cost one clear sentence: what is wrong, where, and what to do."""

import re
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from search.datasets.images import decode as decoding
from search.datasets.prepare import prepare
from search.datasets.readers import folder as folder_reader
from spaces.errors import UserError
from tests.support.images.small_pictures import (
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


def refused(source: object, tmp_path: Path, message: str, **options: object) -> None:
    with pytest.raises(UserError, match=message):
        prepared(source, tmp_path, **options)
    left = list((tmp_path / "cache").glob("*")) if (tmp_path / "cache").exists() else []
    assert left == [], "a refused source must leave nothing in the cache"


def test_nothing_there(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", tmp_path, "There is no data at .*nowhere")
    refused(tmp_path / "nowhere.zip", tmp_path, "does not exist")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", tmp_path, "is empty")
    refused(in_zip({}, tmp_path / "empty.zip"), tmp_path, "is empty")


def test_no_known_kind(tmp_path: Path) -> None:
    (tmp_path / "faces.rar").write_bytes(b"x")
    refused(tmp_path / "faces.rar", tmp_path, "of no known kind")


def test_no_images(tmp_path: Path) -> None:
    refused(in_zip({"train/cat/a.txt": b"x"}, tmp_path / "data.zip"), tmp_path, "holds no images")


def test_one_class(tmp_path: Path) -> None:
    files = {f"cat/{n}.png": encoded(image) for n, image in enumerate(pictures(3))}
    refused(in_folder(files, tmp_path / "data"), tmp_path, "one class, 'cat'")


def test_images_outside_class_folders(tmp_path: Path) -> None:
    picture = encoded(pictures(1)[0])
    loose = {"train/1.png": picture, "test/2.png": picture}
    refused(in_zip(loose, tmp_path / "loose.zip"), tmp_path, "not in a folder for each class")
    inside_out = {"cat/train/1.png": picture, "dog/train/1.png": picture}
    refused(in_zip(inside_out, tmp_path / "inside.zip"), tmp_path, "split folders inside class folders")


@pytest.mark.parametrize("name", ["test", "Train", "test_images", "seg-val"])
def test_a_folder_called_like_a_split_among_classes(name: str, tmp_path: Path) -> None:
    files = tree(("animals",)) | {f"animals/{name}/001.png": encoded(pictures(1, seed=5)[0])}
    message = f"a folder '{name}' beside 'cat', so it is unclear whether it is a split or a class"
    refused(in_folder(files, tmp_path / "data"), tmp_path, message)


def test_splits_by_the_words_of_their_names_without_class_folders(tmp_path: Path) -> None:
    files = {f"{name}_images/1.png": encoded(pictures(1)[0]) for name in ("train", "test")}
    refused(in_zip(files, tmp_path / "data.zip"), tmp_path, "not in a folder for each class")


@pytest.mark.parametrize("deeper", ["", "pictures/"])
def test_the_same_folders_in_several_folders(deeper: str, tmp_path: Path) -> None:
    files = {path.replace("/", f"/{deeper}", 1): content for path, content in tree(("one", "two")).items()}
    message = "a folder 'cat' in 'one' and in 'two', so it is unclear which folders are the classes"
    refused(in_folder(files, tmp_path / "data"), tmp_path, message)


def test_images_beside_a_folder_of_classes(tmp_path: Path) -> None:
    files = tree(("data",)) | {"extras/logo.png": encoded(pictures(1, seed=5)[0])}
    message = "images in 'extras' itself, but only in the folders inside 'data', so it is unclear"
    refused(in_folder(files, tmp_path / "animals"), tmp_path, message)


def test_no_training_part(tmp_path: Path) -> None:
    refused(in_zip(tree(("validation", "test")), tmp_path / "data.zip"), tmp_path, "no training images")


def test_labels_outside_the_classes(tmp_path: Path) -> None:
    files = tree() | {"test/emu/1.png": encoded(pictures(1, seed=5)[0])}
    refused(in_zip(files, tmp_path / "data.zip"), tmp_path, "test images of the class 'emu'")


def test_class_folders_that_differ_in_case_alone(tmp_path: Path) -> None:
    files = tree() | {"train/Cat/1.png": encoded(pictures(1, seed=5)[0])}
    refused(
        in_zip(files, tmp_path / "data.zip"),
        tmp_path,
        "differ in case alone, 'cat' and 'Cat'|'Cat' and 'cat'",
    )


def test_two_different_images_of_one_id(tmp_path: Path) -> None:
    files = tree() | {"b/train/cat/0.png": encoded(pictures(1, side=40, seed=5)[0])}
    refused(in_zip(files, tmp_path / "data.zip"), tmp_path, "two different images for train/cat/0.png")


@pytest.mark.parametrize("name", ["data", "data.zip", "data.tar.gz"])
def test_two_different_images_of_one_id_and_one_size_in_bytes(name: str, tmp_path: Path) -> None:
    files = tree(("camera1/train", "camera2/train"), kind="bmp")
    assert len({len(content) for content in files.values()}) == 1
    message = "two different images for train/cat/0.bmp: camera1/train/cat/0.bmp and camera2/train"
    refused(packed(files, tmp_path / name), tmp_path, message)


def broken_among(count: int, broken: int) -> dict[str, bytes]:
    files = {
        f"{name}/{n}.png": encoded(image) for name in "ab" for n, image in enumerate(pictures(count // 2))
    }
    for number, name in enumerate(sorted(files)[:broken]):
        files[name] = (b"no image", files[name][:90], b"")[number % 3]
    return files


def test_unreadable_and_truncated_images_are_named_and_borne_below_one_percent(tmp_path: Path) -> None:
    data = prepared(in_zip(broken_among(400, 3), tmp_path / "data.zip"), tmp_path, leaks="report")
    (note,) = [note for note in data.notes if "cannot be used" in note]
    assert note.startswith("3 of 400 images cannot be used: train/a/0.png (")
    assert sum(data.counts.values()) == 397


def test_one_percent_of_unreadable_images_is_too_much(tmp_path: Path) -> None:
    source = in_zip(broken_among(400, 8), tmp_path / "data.zip")
    with pytest.raises(UserError, match="8 of 400 images cannot be used") as raised:
        prepared(source, tmp_path)
    assert len(re.findall(r"train/a/\d+\.png \(", str(raised.value))) == 5
    assert "and 3 more" in str(raised.value)


@pytest.mark.parametrize(
    "name", ["../outside/1.png", "/etc/1.png", "train/../../1.png", "C:/x/1.png", "..\\1.png"]
)
def test_paths_that_leave_the_archive(name: str, tmp_path: Path) -> None:
    picture = encoded(pictures(1)[0])
    refused(in_zip(tree() | {name: picture}, tmp_path / "data.zip"), tmp_path, "leaves its folder")
    refused(in_tar(tree() | {name: picture}, tmp_path / "data.tar"), tmp_path, "leaves its folder")


def test_archives_that_are_none(tmp_path: Path) -> None:
    for name in ("data.zip", "data.tar", "data.tar.gz"):
        (tmp_path / name).write_bytes(b"not an archive at all" * 100)
        refused(tmp_path / name, tmp_path, "cannot be read as a (zip|tar) archive")


def test_a_truncated_archive(tmp_path: Path) -> None:
    whole = in_tar(tree(each=30), tmp_path / "whole.tar.gz").read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / "cut.tar.gz", tmp_path, "cannot be read as a tar archive")


def test_encrypted_members(tmp_path: Path) -> None:
    path = in_zip(tree(), tmp_path / "data.zip")
    raw = bytearray(path.read_bytes())
    for header, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = raw.find(header)
        raw[at + offset] |= 1
    path.write_bytes(raw)
    refused(path, tmp_path, "1 encrypted members")


def test_corrupt_members_count_as_unreadable(tmp_path: Path) -> None:
    files = {f"{name}/{n}.png": encoded(image) for name in "ab" for n, image in enumerate(pictures(200))}
    path = in_zip(files, tmp_path / "data.zip")
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("a/7.png")
    raw = bytearray(path.read_bytes())
    raw[info.header_offset + 80] ^= 0xFF
    path.write_bytes(raw)
    data = prepared(path, tmp_path, leaks="report")
    assert any("train/a/7.png (Bad CRC-32" in note for note in data.notes)


def bomb(side: int) -> bytes:
    """Return a PNG of a few bytes whose header claims side x side pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 99))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [8_000, 30_000])
def test_decompression_bombs_are_refused_by_their_header(side: int, tmp_path: Path) -> None:
    refused(
        in_folder(tree() | {"train/cat/b.png": bomb(side)}, tmp_path / "data"), tmp_path, "decompression bomb"
    )


def test_members_that_unpack_to_absurd_sizes_are_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.datasets.listing.archives.MAX_MEMBER", 1000)
    with zipfile.ZipFile(tmp_path / "data.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train/cat/1.png", bytes(10_000))
    refused(tmp_path / "data.zip", tmp_path, "MiB unpacked")


def test_sets_that_would_fill_the_memory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MAX_BYTES", 10_000)
    refused(in_zip(tree(), tmp_path / "data.zip"), tmp_path, "GiB decoded")


def test_links_that_leave_the_folder_are_not_followed(tmp_path: Path) -> None:
    outside = in_folder({"1.png": encoded(pictures(1, seed=8)[0])}, tmp_path / "outside")
    data = in_folder(tree(), tmp_path / "data")
    (data / "train/cat/out.png").symlink_to(outside / "1.png")
    (data / "train/emu").symlink_to(outside)
    (data / "train/cat/loop").symlink_to(data)
    (data / "train/cat/within.png").symlink_to(data / "train/dog/0.png")
    found = prepared(data, tmp_path, leaks="report")
    said = next(note for note in found.notes if "links to folders" in note)
    assert said.startswith("WARNING: 3 links to folders, or to elsewhere, were not followed: ")
    assert f"train/emu -> .../{outside.name}" in said
    assert str(tmp_path) not in said
    assert any(note.startswith("WARNING: The folder train/emu is no class") for note in found.notes)
    assert "train/cat/within.png" in found.train().ids
    assert "train/cat/out.png" not in found.train().ids


def test_links_in_archives_are_not_followed(tmp_path: Path) -> None:
    path = in_zip(tree(), tmp_path / "data.zip")
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("train/cat/link.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    assert any(
        "1 links to folders" in note and "train/cat/link.png" in note
        for note in prepared(path, tmp_path).notes
    )


def test_files_that_vanish_while_they_are_read_count_as_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {f"{name}/{n}.png": encoded(image) for name in "ab" for n, image in enumerate(pictures(200))}
    source = in_folder(files, tmp_path / "data")
    place = folder_reader.place

    def then_lose_one(*listed: object) -> object:
        (source / "a/7.png").unlink()
        return place(*listed)  # type: ignore[arg-type]

    monkeypatch.setattr(folder_reader, "place", then_lose_one)
    data = prepared(source, tmp_path, leaks="report")
    assert any("train/a/7.png (vanished while it was being read)" in note for note in data.notes)


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot be written to"):
        prepare(in_zip(tree(), tmp_path / "data.zip"), tmp_path / "file" / "cache", say=silent)


def test_splits_that_repeat_each_other_leave_nothing_to_train(tmp_path: Path) -> None:
    source = in_folder(tree(("train",)), tmp_path / "data")
    shutil.copytree(source / "train", source / "test")
    refused(source, tmp_path, "no training image left of the class 'cat'")


def test_leaks_can_be_refused_with_their_counts(tmp_path: Path) -> None:
    source = in_folder(tree(), tmp_path / "data")
    shutil.copy(source / "test/cat/0.png", source / "train/cat/copy.png")
    shutil.copy(source / "test/cat/1.png", source / "validation/cat/copy.png")
    refused(
        source,
        tmp_path,
        "1 test images have a duplicate in train, 1 test images.* in validation",
        leaks="refuse",
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"leaks": "ignore"}, "purge-train, report, refuse"),
        ({"channels": 4}, "channels must be 1"),
        ({"image_size": (0, 5)}, "image_size must be"),
        ({"limit": 0}, "limit must be"),
        ({"limit": 5}, "too small"),
    ],
)
def test_options_are_checked(options: dict[str, object], message: str, tmp_path: Path) -> None:
    refused(in_zip(tree(), tmp_path / "data.zip"), tmp_path, message, **options)


def test_a_source_of_nothing_but_flat_images_is_still_read(tmp_path: Path) -> None:
    files = {
        f"{name}/{n}.png": encoded(np.full((32, 32), 9 * n, np.uint8)) for name in "ab" for n in range(9)
    }
    data = prepared(in_zip(files, tmp_path / "data.zip"), tmp_path)
    assert sum(data.audit["flat"].values()) == 18
