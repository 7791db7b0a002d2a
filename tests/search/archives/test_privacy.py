"""What reports show, and what a packed study holds, names no folder, user, host or password."""

from pathlib import Path

import pytest

from search.tracking.privacy import public_command, public_source, public_text, public_value


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[Errno 2] no such file: '/home/jo/data/x.npy'", "[Errno 2] no such file: 'x.npy'"),
        ("in /opt/venv/lib/python3.11/site-packages/keras/ops.py:33", "in ops.py:33"),
        ("~jo/images.zip is gone", "images.zip is gone"),
        (r"C:\Users\jo\images.zip is gone", "images.zip is gone"),
        ("file:///home/jo/runs/mlflow.db is locked", "mlflow.db is locked"),
        ("sqlite:////home/jo/runs/mlflow.db is locked", "sqlite:... is locked"),
        ("postgresql+psycopg://jo:secret@db.lab:5432/runs is away", "postgresql+psycopg://... is away"),
        ("https://jo@lab/x?a=1", "https://..."),
        ("token=abc&password=def", "token=...&password=..."),
        ("kernels 64/128, either/or, 1/2, 3 / 4", "kernels 64/128, either/or, 1/2, 3 / 4"),
        ("see https://github.com/owner/name#13", "see https://github.com/owner/name#13"),
        ("", ""),
    ],
)
def test_a_sentence_keeps_its_sense_and_loses_its_folders(text: str, shown: str) -> None:
    assert public_text(text) == shown
    assert public_text(shown) == shown


def test_a_home_folder_with_a_space_is_hidden_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path("/home/jo doe"))
    assert public_text("cannot read /home/jo doe/x.png now") == "cannot read x.png now"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("/home/jo doe/fer 2013.zip", "fer 2013.zip"),
        ("../data/faces/", "faces"),
        ("fer2013.zip", "fer2013.zip"),
        ("kaggle:owner/name", "kaggle:owner/name"),
        ("synthetic:train=200,test=40", "synthetic:train=200,test=40"),
        ("kaggle/faces", "faces"),
        ("", ""),
        ("/", "..."),
        ("https://jo:pw@lab/x.zip", "https://..."),
    ],
)
def test_a_source_is_a_name(source: str, shown: str) -> None:
    assert public_source(source) == shown
    assert public_source(shown) == shown


def test_a_command_keeps_what_it_does() -> None:
    typed = (
        "candor search stages --data '/home/jo doe/f 2.zip' --workspace runs/x --epochs 6 --storage "
        "postgresql+psycopg://jo:pw@lab/db --tracking-uri=http://lab:5000 --set data.source=/mnt/y.zip"
    )
    shown = (
        "candor search stages --data 'f 2.zip' --workspace runs/x --epochs 6 --storage ... "
        "--tracking-uri=... --set data.source=y.zip"
    )
    assert public_command(typed) == shown
    assert public_command(shown) == shown


def test_texts_inside_a_value_are_shown_and_names_of_fields_stay() -> None:
    value = {"/a/b": ["/home/jo/x.py", 3, None, {"deep": "~/y"}], "n": 0.5}
    assert public_value(value) == {"/a/b": ["x.py", 3, None, {"deep": "y"}], "n": 0.5}
