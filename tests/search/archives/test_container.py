"""The zip of a packed study: what is written is read, and what is dangerous or broken is refused."""

import hashlib
import json
import lzma
import stat
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from search.archives import container
from spaces.errors import UserError

FILES = {
    "artifacts/a/history.csv": b"epoch\n1\n",
    "mlflow.db": b"\x00" * 5000,
    "x.png": bytes(range(256)) * 8,
}


def _packed(folder: Path) -> Path:
    source = folder / "source"
    for name, data in FILES.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(data)
    file = folder / "one.study.zip"
    container.write(file, source, study="0123456789ab", experiment="stages", about={"evaluations": 3})
    return file


def _manifest(files: Mapping[str, bytes], **changes: Any) -> bytes:
    members = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()
    }
    held = {
        "format": container.FORMAT,
        "version": container.VERSION,
        "study": "0123456789ab",
        "experiment": "stages",
        "about": {},
        "members": members,
    }
    return json.dumps(held | changes).encode()


def _foreign(folder: Path, files: Mapping[str, bytes], manifest: bytes | None = None) -> Path:
    file = folder / "foreign.study.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(container.MANIFEST, manifest or _manifest(files))
        for name, data in files.items():
            archive.writestr(name, data)
    return file


def _refusal(file: Path, folder: Path) -> str:
    folder.mkdir(exist_ok=True)
    with pytest.raises(UserError) as refused:
        container.extract(file, folder)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_what_was_packed_comes_out(tmp_path: Path) -> None:
    file, target = _packed(tmp_path), tmp_path / "target"
    target.mkdir()
    manifest = container.extract(file, target)
    assert (manifest.study, manifest.experiment, manifest.about) == (
        "0123456789ab",
        "stages",
        {"evaluations": 3},
    )
    assert {name: (target / name).read_bytes() for name in manifest.members} == FILES
    assert container.read_manifest(file) == manifest


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    first = _packed(tmp_path).read_bytes()
    assert _packed(tmp_path).read_bytes() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.study.zip", "source"]


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a/../../x", "a\\..\\x", "C:/x", "a//b", ".hidden", "a/./b", "a\x00b", "é", "a/"]
)
def test_a_name_that_leaves_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    file = _foreign(tmp_path, {name: b"1"})
    before = sorted(tmp_path.rglob("*"))
    _refusal(file, tmp_path / "target")
    assert sorted(path for path in tmp_path.rglob("*") if "target" not in path.name) == before
    assert list((tmp_path / "target").iterdir()) == []


def test_a_link_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "link.study.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(container.MANIFEST, _manifest({"a": b"/etc/passwd"}))
        link = zipfile.ZipInfo("a")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, b"/etc/passwd")
    assert "no plain file" in _refusal(file, tmp_path / "target")


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    assert "two members of one name" in _refusal(
        _foreign(tmp_path, {"a": b"1", "A": b"2"}), tmp_path / "target"
    )


@pytest.mark.slow
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    zeros = b"\x00" * (64 * 2**20)
    file = tmp_path / "bomb.study.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(container.MANIFEST, _manifest({"a": zeros}))
        archive.writestr("a", zeros, zipfile.ZIP_LZMA)
    assert "decompression bomb" in _refusal(file, tmp_path / "target")
    assert list((tmp_path / "target").iterdir()) == []


def test_a_member_that_wants_gigabytes_to_be_unpacked_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "greedy.study.zip"
    data = b"some text"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(container.MANIFEST, _manifest({"a": data}))
        archive.writestr("a", data, zipfile.ZIP_LZMA)
    raw = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as archive:
        at = archive.getinfo("a").header_offset + 30 + len("a") + 5
    raw[at : at + 4] = struct.pack("<I", 2**31)
    file.write_bytes(raw)
    assert "too much memory" in _refusal(file, tmp_path / "target")


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        (_manifest({"a": b"1"}, version=container.VERSION + 1), "newer Candor"),
        (_manifest({"a": b"1"}, format="something else"), "no packed study"),
        (_manifest({"a": b"1"}, study="../../x"), "names no study"),
        (_manifest({"a": b"1"}, experiment="a/b"), "names no study"),
        (_manifest({"a": b"2"}), "SHA-256"),
        (_manifest({"a": b"12"}), "not those that its manifest lists"),
        (_manifest({}), "not those that its manifest lists"),
        (_manifest({"a": b"1", "b": b""}), "not those that its manifest lists"),
        (b"{", "cannot be read"),
        (b"[]", "no packed study"),
        (b"[" * 100_000, "cannot be read"),
        (_manifest({"a": b"1"}, version="1"), "cannot be read"),
        (_manifest({"a": b"1"}, members=[1]), "cannot be read"),
    ],
)
def test_a_manifest_that_says_otherwise_is_refused(manifest: bytes, says: str, tmp_path: Path) -> None:
    assert says in _refusal(_foreign(tmp_path, {"a": b"1"}, manifest), tmp_path / "target")


def test_other_files_are_no_packed_studies(tmp_path: Path) -> None:
    text, empty, images = tmp_path / "a.zip", tmp_path / "b.zip", tmp_path / "c.zip"
    text.write_text("no zip at all")
    empty.touch()
    with zipfile.ZipFile(images, "w") as archive:
        archive.writestr("train/happy/1.png", b"1")
    for file in (text, empty, images, tmp_path / "missing.zip"):
        assert str(file) in _refusal(file, tmp_path / "target")


def test_a_cut_or_changed_file_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    whole = _packed(tmp_path).read_bytes()
    broken = tmp_path / "broken.study.zip"
    for share in (0.1, 0.5, 0.9, 0.999):
        broken.write_bytes(whole[: int(share * len(whole))])
        _refusal(broken, tmp_path / "target")
    for at in range(40, len(whole), max(1, len(whole) // 60)):
        changed = bytearray(whole)
        changed[at] ^= 0x55
        broken.write_bytes(changed)
        target = tmp_path / f"target-{at}"
        target.mkdir()
        try:
            manifest = container.extract(broken, target)
        except UserError:
            continue
        assert {name: (target / name).read_bytes() for name in manifest.members} == FILES


def test_it_packs_well(tmp_path: Path) -> None:
    assert len(lzma.compress(FILES["mlflow.db"])) > 0
    with zipfile.ZipFile(_packed(tmp_path)) as archive:
        assert archive.getinfo("mlflow.db").compress_size < 200
