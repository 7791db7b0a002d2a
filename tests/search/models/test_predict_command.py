"""`candor predict` writes a file for each picture, called after it."""

from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from experiments.cli import app
from spaces.errors import UserError
from tests.search.models.conftest import CLASSES, drawing

# Of Keras, when saving.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def predicted(photos: Path, network_file: Path) -> int:
    """Save and explain the pictures of a folder beside it, in `saved` and `why`; return the exit code."""
    asked = ["--model", str(network_file), "--classes", ",".join(CLASSES)]
    places = {"--save": "saved", "--explain": "why", "--workspace": "runs"}
    into = [word for option, name in places.items() for word in (option, str(photos.parent / name))]
    return CliRunner().invoke(app, ["predict", str(photos), *asked, *into], catch_exceptions=False).exit_code


def drawn(photos: Path, *names: str) -> None:
    """Draw a picture for each name, each of another shape."""
    for number, name in enumerate(names):
        path = photos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        drawing("RGB", (20 + 30 * number, 24)).save(path)


def test_pictures_of_one_name_do_not_overwrite_each_other(network_file: Path, tmp_path: Path) -> None:
    """Numbered in the order of the answers; whoever comes first, or alone, keeps the name."""
    drawn(tmp_path / "photos", "cat/1.png", "dog/1.png", "dog/my 2.png")
    assert predicted(tmp_path / "photos", network_file) == 0
    assert {path.name for path in (tmp_path / "saved").glob("[!.]*")} == {"1.png", "1-2.png", "my_2.png"}
    explained = {path.stem.rpartition("-")[0] for path in (tmp_path / "why").glob("[!.]*")}
    assert explained == {"1", "1-2", "my_2"}
    with Image.open(tmp_path / "saved/1.png") as first, Image.open(tmp_path / "saved/1-2.png") as second:
        assert first.size != second.size


def test_a_file_that_is_no_picture_takes_no_name(network_file: Path, tmp_path: Path) -> None:
    """It is said, the exit code is 2, and nothing is written for it."""
    drawn(tmp_path / "photos", "dog/1.png")
    (tmp_path / "photos/cat").mkdir()
    (tmp_path / "photos/cat/1.png").write_text("I am no picture")
    assert predicted(tmp_path / "photos", network_file) == 2
    assert [path.name for path in (tmp_path / "saved").glob("[!.]*")] == ["1.png"]


def test_a_picture_of_the_users_is_not_overwritten(network_file: Path, tmp_path: Path) -> None:
    drawn(tmp_path / "saved", "1.png")
    before = (tmp_path / "saved" / "1.png").read_bytes()
    with pytest.raises(UserError, match="was not written by Candor"):
        predicted(tmp_path / "saved", network_file)
    assert (tmp_path / "saved" / "1.png").read_bytes() == before
