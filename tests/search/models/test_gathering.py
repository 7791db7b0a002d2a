"""Pictures to predict are listed as training images are; what is left out is said; an address is no file."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.models.batches import label_pictures
from search.models.classifier import Classifier, Labels
from search.models.images import Picture, gather
from spaces.errors import UserError
from tests.support.images.small_pictures import encoded, pictures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a Mac, a file manager and a user leave in a folder of photographs."""
    photos = tmp_path / ".home" / "photos"  # above the folder that is named, hidden means nothing
    picture = encoded(pictures(1)[0])
    for name in (
        "a.png",
        "below/b.png",
        "c.jfif",
        "._a.png",
        ".thumbnails/a.png",
        "__MACOSX/a.png",
        "notes.txt",
    ):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        (photos / name).write_bytes(picture)
    (photos / "linked").symlink_to(tmp_path)
    return photos


def found(argument: Path | str) -> tuple[list[str], list[str]]:
    """The names that are found, and what is said."""
    said: list[str] = []
    return [picture.name for picture in gather([str(argument)], said.append)], said


def test_a_folder_gives_the_images_that_training_would_take(folder: Path) -> None:
    names, said = found(folder)
    assert names == [str(folder / name) for name in ("a.png", "below/b.png", "c.jfif")]
    assert said == [
        f"{folder}: 1 files that are no images by their names and 1 links to folders or elsewhere left out"
    ]


def test_a_pattern_gives_no_hidden_files(folder: Path) -> None:
    assert found(folder / "*.png")[0] == [str(folder / "a.png")]
    assert found(folder / "*")[0] == [str(folder / "a.png"), str(folder / "c.jfif")]
    assert found(folder / "**" / "*.png")[0] == [str(folder / "a.png"), str(folder / "below/b.png")]
    assert (
        found(folder / "**")[0]
        == found(folder / "**" / "*")[0]
        == [str(folder / name) for name in ("a.png", "below/b.png", "c.jfif")]
    )
    assert "2 files that are hidden" in found(folder / "*")[1][0]
    assert found(folder / "*.txt")[0] == [str(folder / "notes.txt")]  # named by its ending
    with pytest.raises(UserError, match="of the 1 files that it does match, none is an image"):
        found(folder / "n*")
    with pytest.raises(UserError, match="matches no file: check the path"):
        found(folder / "z*")


def test_a_pattern_may_be_relative(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert found("*.png")[0] == ["a.png"]
    assert found("b*/?.png")[0] == ["below/b.png"]


def test_an_empty_name_is_not_the_current_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of a shell that is not set must not name what happens to lie there."""
    monkeypatch.chdir(folder)
    with pytest.raises(UserError, match="the name of a picture is empty"):
        found("")


def test_a_hidden_file_that_is_named_is_read(folder: Path) -> None:
    assert found(folder / "._a.png")[0] == [str(folder / "._a.png")]


def test_a_folder_without_images_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(b"GIF89a")
    with pytest.raises(UserError, match=r"holds no images .*, but 1 files that are no images"):
        found(tmp_path)


@pytest.mark.parametrize("address", ["https://example.org/face.jpg", "s3://bucket/face.jpg"])
def test_an_address_says_how_to_fetch_it(address: str) -> None:
    with pytest.raises(UserError, match=r"curl -s 'http://h/a\?b=1&c' \| candor predict -"):
        found("http://h/a?b=1&c")  # a shell would take what follows the & for another command
    with pytest.raises(UserError, match=rf"is an address.*curl -s {address} \| candor predict -"):
        found(address)
    with pytest.raises(UserError, match="is an address"):
        Picture.of(address)


@pytest.mark.parametrize("bits", [12, 16])
def test_deep_pictures_are_read_by_the_bits_of_the_training_data(
    classifier: Classifier, bits: int, tmp_path: Path
) -> None:
    """A dark picture alone cannot say how many bits its camera uses; the training data could."""
    shades = pictures(1)[0] // 4  # the brightest is 63 of 255
    Image.fromarray(shades.astype(np.uint16) << (bits - 8)).save(tmp_path / "deep.png")
    Image.fromarray(shades).save(tmp_path / "shallow.png")
    trained = Classifier(
        classifier.network, Labels(("a", "b", "c"), bits=bits), classifier.image_shape, 1.0, "trained"
    )
    deep, shallow = (
        next(label_pictures(trained, gather([str(tmp_path / f"{name}.png")]))) for name in ("deep", "shallow")
    )
    assert np.array_equal(deep.inputs[0], shallow.inputs[0])
    assert Labels.read(_written(trained.labels, tmp_path)).bits == bits


def _written(labels: Labels, folder: Path) -> Path:
    (folder / "labels.json").write_text(labels.text())
    return folder / "labels.json"


def test_without_that_knowledge_a_picture_says_it_by_its_own_range(tmp_path: Path) -> None:
    shades = pictures(1)[0]
    shades.flat[0] = 255
    Image.fromarray(shades.astype(np.uint16) << 4).save(tmp_path / "deep.png")
    assert np.array_equal(Picture.of(tmp_path / "deep.png").pixels((32, 32, 1))[..., 0], shades)


def test_what_is_no_image_names_no_address_in_memory(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"none")
    with pytest.raises(UserError, match=r"\(cannot identify image file\): give a file in one of"):
        Picture.of(tmp_path / "a.png").pixels((8, 8, 1))
