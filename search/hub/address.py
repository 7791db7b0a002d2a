"""The file that tells workers where a hub is and how to log in: `hub.toml`, for its owner's eyes only."""

import json
import os
import stat
import tomllib
from collections.abc import MutableMapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self

from spaces.errors import UserError

FILE = "hub.toml"
_HEAD = "# Where the hub is, and its password. Workers read it: candor worker EXPERIMENT --hub hub.toml\n"


@dataclass(frozen=True)
class Hub:
    """How to reach a hub."""

    storage: str  # Optuna's storage, without the password
    tracking_uri: str
    user: str
    password: str

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a hub file.

        Args:
            path: the file, or the workspace of the hub that holds it.

        Returns:
            The addresses and the password.

        Raises:
            UserError: where the file is missing, damaged, or readable by other users.
        """
        file = path / FILE if path.is_dir() else path
        try:
            text = file.read_text(encoding="utf-8")
            shared = stat.S_IMODE(file.stat().st_mode) & 0o007
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise UserError(
                f"the hub file {file} cannot be read ({why}): `candor hub --workspace DIR` writes it"
            ) from None
        if shared:
            raise UserError(f"other users can read the password in {file}: run `chmod o-rwx {file}`")
        try:
            content = tomllib.loads(text)
            return cls(**{field.name: _text(content, field.name) for field in fields(cls)})
        except (tomllib.TOMLDecodeError, KeyError) as error:
            raise UserError(f"{file} is not a hub file ({error}): `candor hub` writes it anew") from None

    def write(self, path: Path) -> None:
        """Write the file as a whole, with mode 600.

        Args:
            path: the file.
        """
        text = _HEAD + "".join(f"{key} = {json.dumps(value)}\n" for key, value in asdict(self).items())
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        draft.replace(path)

    def log_in(self, environment: MutableMapping[str, str]) -> None:
        """Give PostgreSQL's and MLflow's clients the password, which no address and no command line holds.

        Args:
            environment: the variables of this process or of one that is to be started.
        """
        environment["PGPASSWORD"] = self.password
        environment["MLFLOW_TRACKING_USERNAME"] = self.user
        environment["MLFLOW_TRACKING_PASSWORD"] = self.password


def _text(content: dict[str, object], key: str) -> str:
    value = content[key]
    if not isinstance(value, str):
        raise KeyError(key)
    return value
