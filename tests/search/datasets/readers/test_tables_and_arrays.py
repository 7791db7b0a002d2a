"""CSV tables, npz files, arrays, Kaggle handles and the synthetic set are sources like any other."""

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from search.datasets.prepare import prepare
from search.datasets.readers import arrays as array_reader
from search.datasets.readers import drawn
from search.datasets.synthetic import dataset
from search.sealed import sealed_test
from spaces.errors import UserError
from tests.support.images.small_pictures import in_folder, in_zip, packed, pictures, silent, tree

USAGES = ("Training", "PublicTest", "PrivateTest")


def fer_csv(path: Path, head: str = "emotion,pixels,Usage", extra: str = "") -> Path:
    """Write a table with 10 images of each class and usage, in the columns' order."""
    rows = []
    images = iter(pictures(210, side=12))
    for usage in USAGES:
        for emotion in range(7):
            for _ in range(10):
                values = " ".join(str(value) for value in next(images).ravel())
                fields = {"emotion": str(emotion), "pixels": values, "Usage": usage}
                rows.append(",".join(fields[name.strip()] for name in head.split(",")))
    path.write_text("\n".join([head, *rows]) + "\n" + extra)
    return path


@pytest.mark.parametrize("head", ["emotion,pixels,Usage", "emotion, Usage, pixels"])
def test_tables_of_fer_2013_say_their_splits(head: str, tmp_path: Path) -> None:
    data = prepare(fer_csv(tmp_path / "fer2013.csv", head), tmp_path / "cache", say=silent)
    assert data.counts == {"train": 70, "validation": 70, "test": 70}
    assert data.class_names == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    assert data.image_shape == (12, 12, 1)
    row = data.train().ids.tolist().index("train/surprise/row-000052")
    assert data.class_names[data.train().labels[row]] == "surprise"
    assert (data.train().images[row, :, :, 0] == pictures(210, side=12)[50]).all()


def test_a_folder_with_one_table_or_one_archive_is_read_as_that(tmp_path: Path) -> None:
    (tmp_path / "kaggle").mkdir()
    fer_csv(tmp_path / "kaggle/fer2013.csv")
    (tmp_path / "other").mkdir()
    in_zip(tree(), tmp_path / "other/images.zip")
    assert prepare(tmp_path / "kaggle", tmp_path / "cache", say=silent).counts["test"] == 70
    assert prepare(tmp_path / "other", tmp_path / "cache", say=silent).counts["test"] == 12


@pytest.mark.parametrize("name", ["images.zip", "images.tgz", "images.tbz2", "images.txz"])
def test_a_download_of_one_archive_is_read_whatever_else_macos_put_there(name: str, tmp_path: Path) -> None:
    folder = in_folder({f"._{name}": b"x", "__MACOSX/other.csv": b"x"}, tmp_path / "download")
    packed(tree(), folder / name)
    assert prepare(folder, tmp_path / "cache", say=silent).counts["test"] == 12


@pytest.mark.parametrize("name", ["download.zip", "download.tar.gz"])
def test_a_table_alone_in_an_archive_is_read_as_that(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.datasets.listing.archives.MAX_MEMBER", 1000)  # of one image: a table has many
    table = fer_csv(tmp_path / "fer2013.csv")
    files = {
        "fer2013/README": b"x",
        "fer2013/fer2013.csv": table.read_bytes(),
        "fer2013/._fer2013.csv": b"x",
    }
    from_archive = prepare(packed(files, tmp_path / name), tmp_path / "cache", say=silent)
    assert from_archive.counts == {"train": 70, "validation": 70, "test": 70}
    assert from_archive.folder == prepare(table, tmp_path / "cache", say=silent).folder


def test_arrays_alone_in_an_archive_are_read_as_that(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", **arrays())
    archive = in_zip({"set.npz": (tmp_path / "set.npz").read_bytes()}, tmp_path / "set.zip")
    assert prepare(archive, tmp_path / "cache", say=silent).counts["test"] == 20


def test_what_is_wrong_with_a_table_in_an_archive_is_said_of_it_there(tmp_path: Path) -> None:
    archive = in_zip({"in/x.csv": b"a,b\n1,2\n"}, tmp_path / "set.zip")
    with pytest.raises(UserError, match=rf"^{archive}/in/x\.csv has no column 'emotion'"):
        prepare(archive, tmp_path / "cache", say=silent)


def test_empty_lines_of_a_table_are_no_rows(tmp_path: Path) -> None:
    source = fer_csv(tmp_path / "fer2013.csv", extra="\n\n  \n")
    data = prepare(source, tmp_path / "cache", say=silent)
    assert sum(data.counts.values()) == 210
    assert not any("cannot be used" in note for note in data.notes)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("9,1 2 3 4,Training", "emotion is '9'"),
        ("happy,1 2 3 4,Training", "emotion is 'happy'"),
        ("0,1 2 x 4,Training", "not numbers"),
        ("0,1 2 3,Training", "3 pixels are no square"),
        ("0,1 2 3 4,Training", "4 pixels, not 144"),
        ("0,1 2 3 999,Training", "outside 0 to 255"),
        ("0,1 2 3 4,Sometimes", "Usage is 'Sometimes'"),
        ("0", "0 pixels"),
    ],
)
def test_malformed_rows_are_named_and_borne_below_one_percent(row: str, reason: str, tmp_path: Path) -> None:
    data = prepare(fer_csv(tmp_path / "one.csv", extra=f"{row}\n"), tmp_path / "cache", say=silent)
    assert any(reason in note and "1 of 211 rows" in note for note in data.notes)
    with pytest.raises(UserError, match="3 of 213 rows"):
        prepare(fer_csv(tmp_path / "three.csv", extra=f"{row}\n" * 3), tmp_path / "cache", say=silent)


def test_a_table_without_the_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="no column 'emotion'"):
        prepare(tmp_path / "x.csv", tmp_path / "cache", say=silent)


def arrays(classes: int = 3) -> dict[str, np.ndarray]:
    x = pictures(60)
    y = np.arange(60) % classes
    return {"x_train": x[:40], "y_train": y[:40], "x_test": x[40:], "y_test": y[40:, None]}


def test_npz_files_and_arrays_are_the_same_source(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", **arrays())
    from_file = prepare(tmp_path / "set.npz", tmp_path / "cache", say=silent)
    from_python = prepare(arrays(), tmp_path / "cache", say=silent)
    assert from_file.digest == from_python.digest
    assert from_file.counts == {"train": 31, "validation": 9, "test": 20}
    assert len(sealed_test(from_file)) == 20


def test_a_pair_of_arrays_is_a_training_set_and_fractions_are_shades(tmp_path: Path) -> None:
    x, y = arrays()["x_train"], arrays()["y_train"]
    bytes_ = prepare((x, y), tmp_path / "cache", say=silent)
    floats = prepare((x / 255.0, y), tmp_path / "cache", say=silent)
    assert bytes_.digest == floats.digest
    assert bytes_.source == "arrays"
    assert prepare((x, y), tmp_path / "cache", say=pytest.fail) == bytes_


def test_class_names_of_arrays_keep_their_order(tmp_path: Path) -> None:
    named = arrays() | {"class_names": np.array(["zebra", "ant", "mole"])}
    assert prepare(named, tmp_path / "cache", say=silent).class_names == ("zebra", "ant", "mole")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_train": np.zeros((40, 3))}, "argmax"),
        ({"y_train": np.zeros(40)}, "whole numbers"),
        ({"y_train": np.arange(39)}, "40 whole numbers"),
        ({"x_train": np.zeros((40, 8))}, "must have shape"),
        ({"x_train": np.full((40, 8, 8), 300)}, "0 to 255"),
        ({"y_test": np.full(20, 7)}, "'7', which no training image has"),
        ({"class_names": np.array(["a", "b"])}, "outside its 2 class_names"),
    ],
)
def test_arrays_that_are_no_labelled_images_are_refused(
    change: dict[str, np.ndarray], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        prepare(arrays() | change, tmp_path / "cache", say=silent)


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", x_train=np.array([{}], dtype=object))
    with pytest.raises(UserError, match="plain arrays"):
        prepare(tmp_path / "set.npz", tmp_path / "cache", say=silent)


def test_the_synthetic_set_says_so_and_takes_options(tmp_path: Path) -> None:
    data = prepare("synthetic:train=70,validation=40,test=40,seed=3", tmp_path / "cache", say=silent)
    assert (data.synthetic, data.name) == (True, "synthetic")
    assert data.counts == {"train": 70, "validation": 40, "test": 40}
    assert any("ynthetic" in note for note in data.notes)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("synthetic:trian=5", "did you mean train"),
        ("synthetic:train=many", "must be from 1"),
        ("synthetic:train=0", "must be from 1"),
        ("synthetic:noise=2", "must be from 0 to 1"),
    ],
)
def test_options_of_the_synthetic_set_are_checked(source: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        prepare(source, tmp_path / "cache", say=silent)


def test_the_synthetic_set_is_drawn_anew_when_any_part_of_the_program_that_draws_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Path(dataset.__file__)
    shutil.copytree(program.parent, tmp_path / "program")
    monkeypatch.setattr(dataset, "__file__", str(tmp_path / "program" / program.name))
    stamps = [drawn.stamp("synthetic")]
    files = sorted(tmp_path.glob("program/*.py"))
    assert len(files) > 5
    for file in files:
        file.write_text(file.read_text() + "# changed\n")
        stamps.append(drawn.stamp("synthetic"))
    assert len(set(stamps)) == 1 + len(files)


def test_kaggle_without_kagglehub_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(UserError, match=r"in Candor's folder, .*pip install -e '\.\[kaggle\]'"):
        prepare("kaggle:somebody/faces", tmp_path / "cache", say=silent)
    with pytest.raises(UserError, match="kaggle:owner/name"):
        prepare("kaggle:faces", tmp_path / "cache", say=silent)


def test_kaggle_that_refuses_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: str) -> str:
        raise ConnectionError(f"403 for {handle}")

    monkeypatch.setitem(sys.modules, "kagglehub", SimpleNamespace(dataset_download=refuse))
    with pytest.raises(UserError, match=r"403.*accept the data set's terms"):
        prepare("kaggle:somebody/faces", tmp_path / "cache", say=silent)


def test_what_kaggle_gives_is_read_and_then_used_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = in_folder(tree(), tmp_path / "datasets/somebody/faces/versions/1")
    monkeypatch.setitem(
        sys.modules, "kagglehub", SimpleNamespace(dataset_download=lambda handle: str(folder))
    )
    first = prepare("kaggle:somebody/faces", tmp_path / "cache", say=silent)
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    assert prepare("kaggle:somebody/faces", tmp_path / "cache", say=silent) == first
    assert first.source == "kaggle:somebody/faces"
    assert first.name == "faces"


def test_a_table_that_kaggle_gives_keeps_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "datasets/somebody/faces/versions/1"
    folder.mkdir(parents=True)
    fer_csv(folder / "fer2013.csv")
    kagglehub = SimpleNamespace(dataset_download=lambda handle: str(folder))
    monkeypatch.setitem(sys.modules, "kagglehub", kagglehub)
    assert prepare("kaggle:somebody/faces", tmp_path / "cache", say=silent).name == "fer2013"


def test_a_column_of_splits_by_another_name_is_asked_about(tmp_path: Path) -> None:
    """Its test rows would be trained on."""
    table = fer_csv(tmp_path / "fer.csv")
    table.write_text(table.read_text().replace("Usage", "Split", 1))
    with pytest.raises(UserError, match=r"no column 'Usage', but a column 'split' .* call it Usage"):
        prepare(table, tmp_path / "cache", say=silent)


def test_a_column_that_comes_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fer.csv").write_text("emotion,pixels,pixels\n0,1 2 3 4,5 6 7 8\n")
    with pytest.raises(UserError, match="two columns 'pixels'"):
        prepare(tmp_path / "fer.csv", tmp_path / "cache", say=silent)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"x_dev": 1, "y_dev": 1}, "'x_dev' beside x_train, and it is unclear which split that is"),
        ({"x_Test": 1, "y_Test": 1}, "'x_Test' beside x_train, and it is unclear which split that is"),
        ({"x_val": 1, "y_val": 1, "x_valid": 1, "y_valid": 1}, "several arrays for validation"),
        ({"y_test": 1}, "y_test without x_test"),
        ({"class_names": ["cat", " ", "owl"]}, "a class without a name"),
    ],
)
def test_arrays_that_would_be_lost_or_mixed_up_are_refused(more: dict[str, object], message: str) -> None:
    images, labels = pictures(30), np.arange(30) % 3
    given = {
        name: (images if name[0] == "x" else labels) if value == 1 else value for name, value in more.items()
    }
    with pytest.raises(UserError, match=message):
        array_reader.read({"x_train": images, "y_train": labels, **given})


def test_classes_that_differ_in_spaces_alone_are_refused() -> None:
    words = np.array(["cat", "dog", "cat "])[np.arange(30) % 3]
    with pytest.raises(UserError, match="differ in spaces alone, 'cat' and 'cat '"):
        array_reader.read({"x_train": pictures(30), "y_train": words})


def test_names_without_images_are_said() -> None:
    named = {"class_names": np.array(["cat", "dog", "owl", "yak"])}
    notes = array_reader.read({"x_train": pictures(30), "y_train": np.arange(30) % 3, **named}).notes
    assert "WARNING: No image is labelled yak: no class, though class_names names it." in notes
