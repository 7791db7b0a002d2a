"""What a small file claims to unpack to is refused before it is read."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.schema.catalog import read
from experiments.schema.experiment import ExperimentConfig, parse_setting
from search.datasets.find_reader import reader_for
from search.models.images import Picture
from search.safety import sizes
from search.safety.sizes import load_npz, read_file
from spaces.errors import UserError


def header(name: str, kind: bytes, size: int, **more: Any) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    for key, value in more.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [b"L", b"K", b"x", b"g", b"X"])
def test_a_tar_header_is_bounded(tmp_path: Path, kind: bytes) -> None:
    """It stands first, or after an ordinary member; tarfile would read all of it."""
    ordinary = header("cat/a.png", b"0", 3) + b"abc" + b"\0" * 509
    for number, start in enumerate((b"", ordinary)):
        path = tmp_path / f"{number}.tar"
        with path.open("wb") as file:
            file.write(start + header("x", kind, 7 * 2**30))
            file.truncate(8 * 2**30)  # sparse: it takes no room
        with pytest.raises(UserError, match="taken for a decompression bomb"):
            reader_for(path).read(path)


@pytest.mark.parametrize("first", ["GNU.sparse.major", "GNU.sparse.map", "GNU.sparse.size"])
def test_sparse_members_of_a_tar_are_refused(tmp_path: Path, first: str) -> None:
    path = tmp_path / "data.tar"
    headers = {
        "GNU.sparse.major": {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.realsize": "9" * 12,
        },
        "GNU.sparse.map": {"GNU.sparse.map": "0,1", "GNU.sparse.size": "9" * 12},
        "GNU.sparse.size": {"GNU.sparse.size": "9" * 12, "GNU.sparse.numblocks": "1"},
    }
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("cat/a.png")
        info.pax_headers, info.size = headers[first], 512
        archive.addfile(info, io.BytesIO(b"99999999\n" + b"\0" * 503))
    with pytest.raises(UserError, match="sparse members"):
        reader_for(path).read(path)
    old = tmp_path / "old.tar"
    old.write_bytes(header("cat/a.png", tarfile.GNUTYPE_SPARSE, 512) + b"\0" * 2048)
    with pytest.raises(UserError, match="sparse members"):
        reader_for(old).read(old)


def npz(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def npy(array: Any = None, shape: tuple[int, ...] | None = None) -> bytes:
    """An array as a file; with another shape in its header than it has."""
    array = np.zeros((2, 3, 3), np.uint8) if array is None else np.asarray(array)
    file = io.BytesIO()
    described = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(file, {**described, "shape": shape or array.shape})
    return file.getvalue() + array.tobytes()


def locked(path: Path) -> Path:
    raw = bytearray(npz(path, x_train=npy()).read_bytes())
    for sign, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(sign) + offset] |= 1
    path.write_bytes(raw)
    return path


def unknown_method(path: Path) -> Path:
    raw = bytearray(npz(path, x_train=npy()).read_bytes())
    for sign, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        raw[raw.index(sign) + offset] = 99
    path.write_bytes(raw)
    return path


def no_array(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "x")
    return path


@pytest.mark.parametrize(
    "made",
    [
        locked,
        unknown_method,
        no_array,
        lambda path: npz(path, x_train=npy(shape=(10**12, 3, 3))),
        lambda path: npz(path, x_train=npy(shape=(2**62, 2**62))),
        lambda path: npz(path, x_train=b"no array at all"),
        lambda path: npz(path, x_train=b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65_535),
        lambda path: npz(path, x_train=npy(np.zeros(3, "V8"))[:-5]),
        lambda path: path.write_bytes(b"PK\x03\x04") and path,
    ],
)
def test_an_npz_that_is_none_is_one_sentence(tmp_path: Path, made: Callable[[Path], Path]) -> None:
    with pytest.raises(UserError, match="cannot be read as an npz file of plain arrays"):
        load_npz(made(tmp_path / "data.npz"))


def test_members_that_unpack_to_many_times_their_size_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "_HARMLESS", 2**20)
    path = npz(tmp_path / "data.npz", x_train=npy(np.zeros((3000, 48, 48), np.uint8)))
    with pytest.raises(UserError, match="taken for a decompression bomb"):
        load_npz(path)
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("cat/a.png", b"\0" * 2**23)
        file.writestr("dog/a.png", b"\0" * 2**23)
    with pytest.raises(UserError, match="taken for a decompression bomb"):
        reader_for(archive).read(archive)


def test_arrays_without_a_row_are_one_sentence(tmp_path: Path) -> None:
    empty = {"x_train": npy(np.zeros((0, 3, 3), np.uint8)), "y_train": npy(np.zeros(0, np.int64))}
    path = npz(tmp_path / "data.npz", **empty)
    with pytest.raises(UserError, match="holds no images"):
        reader_for(path).read(path)


@pytest.mark.parametrize("name", ["photo.png", "table.csv", "labels.toml"])
def test_a_sparse_file_is_as_large_as_it_says(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(200 * 2**30)
    with pytest.raises(UserError, match="more than"):
        {"photo.png": Picture.of, "table.csv": lambda p: reader_for(p).read(p), "labels.toml": read}[name](
            path
        )


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path, tmp_path / "loop", tmp_path / "none", Path("/dev/zero")):
        with pytest.raises(OSError, match=r"is no regular file|No such file|Too many levels"):
            read_file(path)


def test_a_circle_of_links_is_one_sentence(tmp_path: Path) -> None:
    for name in ("loop.zip", "loop.npz", "loop"):
        (tmp_path / name).symlink_to(tmp_path / name)
        with pytest.raises(UserError, match="There is no data at"):
            reader_for(tmp_path / name).stamp(tmp_path / name)


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 5000 + "]" * 5000,
        "x = " + "[" * 50 + "]" * 50,
        "x = " + "1" * 5000,
        "x = " + "1" * 25,
        "".join(f"[a{'.a' * n}]\n" for n in range(60)),
        "x = " + "{a=" * 3000 + "1" + "}" * 3000,
    ],
)
def test_a_deep_or_long_experiment_file_is_one_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"own\.toml"):
        read(path)
    value = text.partition("=")[2].strip()
    if text.startswith("x"):
        with pytest.raises(UserError, match=r"--set protocol\.epochs"):
            parse_setting(f"protocol.epochs={value}")


def test_a_grid_of_millions_is_one_sentence(tmp_path: Path) -> None:
    axes = "\n".join(f'"kernels_{n}" = {list(range(1, 12))}' for n in range(1, 8))
    path = tmp_path / "own.toml"
    path.write_text(f'question = "Which?"\nspace = "plain_cnn"\n[grid]\n{axes}\n')
    with pytest.raises(UserError, match=r"has 19,487,171 cells"):
        ExperimentConfig.load(path)
    protocol = '[protocol]\nsampler = "grid"\npruner = "none"'
    path.write_text(f'question = "Which?"\nspace = "plain_cnn"\n{protocol}\n[search]\n{axes}\n')
    with pytest.raises(UserError, match="19,487,171 combinations"):
        ExperimentConfig.load(path)
