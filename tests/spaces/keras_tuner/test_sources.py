"""The code of a hypermodel counts as what it says, and is not run to know it."""

from pathlib import Path

import pytest

from spaces.keras_tuner.source_digest import code_of


def test_an_edited_file_is_other_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "networks.py"
    file.write_bytes(b"raise SystemExit\nwidth = 8\n")
    space = ["plain_cnn", "networks:build", "lenet.classic"]
    first = code_of(space)
    assert list(first) == ["networks:build"]
    file.write_bytes(b"raise SystemExit\r\nwidth = 8\r\n")
    assert code_of(space) == first
    file.write_bytes(b"raise SystemExit\nwidth = 9\n")
    assert code_of(space) != first


def test_packages_and_installed_modules_are_found_and_what_is_nowhere_has_no_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "inner.py").touch()
    space = [
        "package:one",
        "package.inner:two",
        "keras_tuner.applications:HyperResNet",
        "nowhere.at.all:four",
    ]
    assert list(code_of(space)) == space[:3]
