"""A study keeps to the Keras backend that it was begun with."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.execution.backend import keras_backend
from search.study.optuna.storage import open_storage
from search.study.study import Study
from search.workspace import Workspace
from spaces.errors import UserError


def test_the_variable_comes_before_the_file_and_tensorflow_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert keras_backend() == "tensorflow"
    (tmp_path / "keras.json").write_text("no JSON")
    assert keras_backend() == "tensorflow"
    (tmp_path / "keras.json").write_text(
        json.dumps({"backend": "jax", "image_data_format": "channels_first"})
    )
    assert keras_backend() == "jax"
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert keras_backend() == "torch"


def test_another_backend_is_refused(
    config_for: Callable[..., Any], storage_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin() -> Study:
        return Study(config_for(), open_storage(storage_url), Workspace.at(tmp_path))

    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    study = begin().config.study_id
    begin()
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(UserError, match=f"study {study} was begun with the Keras backend tensorflow"):
        begin()
