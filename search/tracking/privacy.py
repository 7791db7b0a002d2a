"""Takes out of texts what belongs to a machine or a person: folders, hosts, users, passwords.

Reports show texts through these functions, and packed studies hold nothing else, so a report says the same
before and after packing. All of them change nothing the second time.
"""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from search.safety.secrets import masked

#: Options of the command line whose values are addresses.
_ADDRESSES: Final = ("--storage", "--tracking-uri", "--ui-url")
_HIDDEN: Final = "..."
#: A folder and what lies in it: from the root, from a home folder, or from a Windows drive.
_PATH: Final = re.compile(
    r"""(?<![\w.:/\\~-])(?:file:/+|~[\w.-]*/|/(?=[\w.~-])|[A-Za-z]:[\\/])  # where it begins
        (?:[^\s"'`<>|,;:()\[\]{}/\\]+[\\/]+)*                             # folders
        ([^\s"'`<>|,;:()\[\]{}/\\]*)                                      # the last step""",
    re.VERBOSE,
)
_WITH_USER: Final = re.compile(r"([a-z][a-z0-9+.-]*://)[^\s/@\"']+@[^\s\"'/]*(?:/[^\s\"']*)?", re.IGNORECASE)
_FILE_STORE: Final = re.compile(r"(sqlite:)/+[^\s\"']+", re.IGNORECASE)
_PASSWORD: Final = re.compile(r"((?:password|token|secret)=)[^&\s\"']+", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]*:(//|/)", re.IGNORECASE)


def public_text(text: str) -> str:
    """A sentence without folders, users and passwords.

    Args:
        text: Anything that a person or a library wrote: a reason, a note.

    Returns:
        The text; of every absolute path only its last step is left ("reader.py" of
        "/home/jo/site-packages/reader.py"), and of an address with a user in it only its kind.
    """
    text = masked(text)
    for folder in _own_folders():
        text = re.sub(rf"{re.escape(folder)}(?=[/\\]|\b)", "~", text)
    for pattern in (_FILE_STORE, _WITH_USER, _PASSWORD):
        text = pattern.sub(rf"\1{_HIDDEN}", text)
    return _PATH.sub(lambda found: found[1] or _HIDDEN, text)


def public_source(source: str) -> str:
    """Where images came from, without the folder: "fer2013.zip", "kaggle:owner/name", "synthetic"."""
    if re.match(r"(kaggle|synthetic)(:|$)", source):
        return source
    if _ADDRESS.match(source):
        return public_text(source)
    return re.split(r"[/\\]", source.rstrip("/\\"))[-1] or (_HIDDEN if source else "")


def public_command(command: str) -> str:
    """A command line without folders and addresses; what it does stays.

    Args:
        command: As a shell would read it.

    Returns:
        The command. Paths inside the working folder stay as they are, of others the last step stays; the
        values of options that name servers become "...".
    """
    try:
        words = shlex.split(command)
    except ValueError:
        return public_text(command)
    shown = []
    for before, word in zip(["", *words], words, strict=False):
        option, equals, value = word.partition("=")
        if before in _ADDRESSES:
            shown.append(_HIDDEN)
        elif equals and option in _ADDRESSES:
            shown.append(f"{option}={_HIDDEN}")
        elif equals:
            shown.append(option + equals + _argument(value))
        else:
            shown.append(_argument(word))
    return shlex.join(shown)


def public_value(value: Any) -> Any:
    """A value as JSON has it, with `public_text` applied to every text in it but the names of fields."""
    if isinstance(value, str):
        return public_text(value)
    if isinstance(value, dict):
        return {name: public_value(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [public_value(each) for each in value]
    return value


def public_study(about: Mapping[str, Any]) -> dict[str, Any]:
    """What a study says of itself (`names.STUDY_JSON`), its command and its source too."""
    shown: dict[str, Any] = public_value(dict(about))
    if isinstance(about.get("command"), str):
        shown["command"] = public_command(about["command"])
    data = about.get("data")
    if isinstance(data, dict) and "source" in data:
        shown["data"] |= {"source": public_source(str(data["source"]))}
    return shown


def _argument(word: str) -> str:
    outside = (
        word.startswith(("/", "~", "\\")) or ".." in re.split(r"[/\\]", word) or word[1:3] in (":\\", ":/")
    )
    if outside and not _ADDRESS.match(word):
        return re.split(r"[/\\]", word.rstrip("/\\"))[-1] or _HIDDEN
    return public_text(word)


def _own_folders() -> list[str]:
    """This machine's folders that are to be hidden even where a name in them has spaces."""
    try:
        found = {str(Path.home())}
    except (RuntimeError, KeyError):  # no home folder
        return []
    return sorted((folder for folder in found if len(folder) > 1), key=len, reverse=True)
