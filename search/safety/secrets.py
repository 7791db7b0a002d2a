"""Passwords are kept out of what is printed or recorded.

An address is taken apart by the grammars of those who use it, SQLAlchemy for databases and urllib for
servers, and put together again without its secrets. Where the two disagree about the host, because of an
unquoted "@" or "/" in a password, only the scheme is shown.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import unquote, unquote_plus, urlsplit

HIDDEN: Final = "***"
#: Keys whose values are hidden, in queries, connection strings and JSON.
_KEY: Final = (
    r"[\w.-]*(?:pass(?:word|wd|phrase|code)?|pwd|secret|token|(?:api|access)[_-]?key"
    r"|credentials?|sig(?:nature)?)"
)
_PAIR: Final = re.compile(
    rf"(?i)((?<![\w.-]){_KEY}[\"']?\s*[=:]\s*)(\"[^\"\n]*\"|'[^'\n]*'|[^\s&;,\"'}})\]]+)"
)
_ADDRESS: Final = re.compile(r"[A-Za-z][\w+.-]*://[^\s\"'<>`]*")
#: A password with blanks in it: from the user's name to the next @ of the line, unless a port comes first.
_SPACED: Final = re.compile(r"(://[^:/@\s]*):(?!\d{1,5}(?:[/?#\s,;.)]|$))[^@\n]*@")
_SHORTEST: Final = 8  # letters of a password that is looked for in texts; a shorter one may be a word
_known: dict[str, str] = {}


def remember(address: str | None) -> None:
    """Hide an address that this process was given, and its password, in all that `masked` sees afterwards."""
    if not address:
        return
    shown = masked_address(address)
    if shown != address:
        _known[address] = shown
        _known.update({secret: HIDDEN for secret in _secrets(address) if len(secret) >= _SHORTEST})


def masked_address(address: str) -> str:
    """An address of a database, a server or a data set without its secrets.

    Args:
        address: with a scheme or without one; a path is returned as it is.

    Returns:
        Scheme, user, host and path. "***" stands for everything else.
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        return masked(address) if "@" not in address else HIDDEN
    if (scheme.startswith("sqlite") or scheme == "file") and ("@" not in rest or rest.startswith("/")):
        return _PAIR.sub(rf"\1{HIDDEN}", address)
    from sqlalchemy.engine import make_url  # late, as in `_raw_secrets`: `candor list` is quick
    from sqlalchemy.exc import ArgumentError

    try:
        database, server = make_url(address), urlsplit(address)
        hosts = {(database.host or "").lower(), (server.hostname or "").lower()}
        ports = {database.port, server.port}
    except (ArgumentError, ValueError):
        return f"{scheme}://{HIDDEN}"
    odd = re.search(r"[@\s]", f"{server.hostname}{server.path}{database.database}")
    if len(hosts) > 1 or len(ports) > 1 or odd:
        return f"{scheme}://{HIDDEN}"
    user = server.username or ""
    if server.password is not None:
        user = f"{user}:{HIDDEN}@"
    elif user:  # the name alone is a token where a web server reads it
        user = f"{HIDDEN}@" if scheme.lower() in ("http", "https") else f"{user}@"
    host = f"[{server.hostname}]" if ":" in (server.hostname or "") else server.hostname or ""
    port = "" if server.port is None else f":{server.port}"
    query = f"?{HIDDEN}" if server.query else ""
    return f"{scheme}://{user}{host}{port}{server.path}{query}"


def masked(text: str) -> str:
    """A text without the secrets of addresses, of key=value pairs and of addresses given to `remember`."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, _known[secret])
    text = _SPACED.sub(rf"\1:{HIDDEN}@", text)
    text = _ADDRESS.sub(lambda found: _in_text(found[0]), text)
    return _PAIR.sub(rf"\1{HIDDEN}", text)


def masked_command(words: Sequence[str]) -> str:
    """A command as it was typed, without the secrets in its words."""
    return shlex.join(_in_word(word) for word in words)


def _in_word(word: str) -> str:
    option, equals, value = word.partition("=")
    if equals and option.startswith("-"):
        return f"{option}={_in_word(value)}"
    return masked_address(word) if "://" in word or re.match(r"[^@]*:[^@]*@", word) else masked(word)


def _in_text(address: str) -> str:
    """An address within a text: what follows it, such as a full stop, stays."""
    core = address.rstrip(".,:;!?)]}")
    return (masked_address(core) if "@" in core or _PAIR.search(core) else core) + address[len(core) :]


def _secrets(address: str) -> set[str]:
    """What may be the password of an address, by either grammar, as it stands there and decoded."""
    return {
        form for secret in _raw_secrets(address) for form in (secret, unquote(secret), unquote_plus(secret))
    }


def _raw_secrets(address: str) -> Iterator[str]:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    rest = address.partition("://")[2] or address
    userinfo, at, _ = rest.rpartition("@")
    if at:
        yield userinfo.partition(":")[2]
    yield from (found[2].strip("\"'") for found in _PAIR.finditer(address))
    try:
        yield str(make_url(address).password or "")
        yield urlsplit(address).password or ""
    except (ArgumentError, ValueError):
        return
