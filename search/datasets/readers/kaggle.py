"""A Kaggle data set by its handle, `kaggle:owner/name`, through kagglehub."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from search.datasets.catalog import Catalogue, Source
from search.datasets.find_reader import reader_for
from spaces.errors import UserError

PREFIX: Final = "kaggle:"


def accepts(source: Source) -> bool:
    """Accept handles behind `kaggle:`."""
    return isinstance(source, str) and source.startswith(PREFIX)


def stamp(source: Source) -> str:
    """Return the handle: what was downloaded once is used again without a network."""
    return str(source)


def read(source: Source) -> Catalogue:
    """Download the data set, unless it is here, and read it. Raises UserError where that fails."""
    handle = str(source).removeprefix(PREFIX)
    folder = _downloaded(handle).resolve()
    catalogue = reader_for(folder).read(folder)
    named = catalogue.name != folder.name  # after a file in it; kagglehub's folder has a version's number
    return catalogue if named else replace(catalogue, name=handle.partition("/")[2])


def _downloaded(handle: str) -> Path:
    if handle.count("/") != 1 or not all(handle.split("/")):
        raise UserError(f"A Kaggle data set is named kaggle:owner/name. Received: {PREFIX}{handle}.")
    try:
        import kagglehub
    except ModuleNotFoundError as error:
        raise UserError(
            f"{PREFIX}{handle} needs kagglehub: in Candor's folder, .venv/bin/pip install -e '.[kaggle]'."
        ) from error
    try:
        return Path(kagglehub.dataset_download(handle))
    except Exception as error:  # kagglehub raises whatever its HTTP client does
        raise UserError(
            f"Kaggle did not give {handle} ({' '.join(str(error).split())[:200]}): check the network "
            f"and the name, "
            f"sign in with a Kaggle token, and accept the data set's terms on its page; or download it "
            f"by hand and give the file's path."
        ) from error
