"""The hub's file is read by its owner alone, and what is wrong with one costs a sentence."""

import stat
from pathlib import Path

import pytest

from search.hub.address import Hub
from spaces.errors import UserError

HUB = Hub("postgresql+psycopg://candor@host:1/studies", "http://host:2", "candor", 'a "quoted" pass\\word')


def test_what_is_written_is_read_again_by_its_owner(tmp_path: Path) -> None:
    HUB.write(tmp_path / "hub.toml")
    assert stat.S_IMODE((tmp_path / "hub.toml").stat().st_mode) == 0o600
    assert Hub.read(tmp_path) == Hub.read(tmp_path / "hub.toml") == HUB


def test_the_password_goes_into_variables_alone() -> None:
    environment: dict[str, str] = {}
    HUB.log_in(environment)
    assert environment["PGPASSWORD"] == environment["MLFLOW_TRACKING_PASSWORD"] == HUB.password
    assert HUB.password not in HUB.storage + HUB.tracking_uri


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        ("storage = 'x'", 0o644, "other users can read the password"),
        ("storage = 'x'", 0o600, "is not a hub file"),
        ("storage = ", 0o600, "is not a hub file"),
        (b"\xff\xfe\x00", 0o600, "it is no text"),
    ],
)
def test_a_file_that_is_wrong_costs_a_sentence(
    content: str | bytes, mode: int, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "hub.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    file.chmod(mode)
    with pytest.raises(UserError, match=message):
        Hub.read(file)


def test_a_missing_file_names_the_command_that_writes_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="`candor hub --workspace DIR` writes it"):
        Hub.read(tmp_path / "none.toml")
