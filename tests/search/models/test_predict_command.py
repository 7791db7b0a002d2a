"""`candor predict` writes a file for each picture, called after it."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mlflow import MlflowClient
from PIL import Image
from typer.testing import CliRunner

from experiments.cli import app
from search.models.registry.references import labels_of_run
from search.models.registry.registry import Registration, register
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


@pytest.mark.parametrize("model", ["champion", "small@champion", "run"])
def test_a_model_of_a_read_only_workspace_answers(
    store: tuple[str, MlflowClient],
    run_of: Callable[[str], str],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    model: str,
) -> None:
    """A finished workspace on a share that may only be read: nothing is written beside its databases."""
    run, photos = run_of("a"), tmp_path_factory.mktemp("photos")
    contents = Registration("small", run, labels_of_run(store[1], run), (24, 20, 1), {}, "What it is.", {})
    register(store[1], contents)
    drawn(photos, "a.png")
    words = ["predict", str(photos), "--workspace", str(tmp_path), "--json"]
    asked = [*words, "--model", run if model == "run" else model]
    with read_only(tmp_path):
        done = CliRunner().invoke(app, asked, env={"MLFLOW_TRACKING_URI": None}, catch_exceptions=False)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["pictures"][0]["label"] in CLASSES


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nothing be written in a folder."""
    mount = ["mount", "--bind", "-o", "ro", str(folder), str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a file system")
    try:
        assert not os.access(folder, os.W_OK)
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
