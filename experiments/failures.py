"""Failures that are nobody's mistake, in a sentence: what to wait for or to mend before going on."""

import errno
import os
import sqlite3

from search.execution.failure_kinds import machine_failure
from spaces.errors import UnavailableError

#: Too long a name, links in a circle, a file in place of a folder or a folder in place of a file, no right.
_PATH_ERRORS = (
    errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM, errno.EROFS,
)  # fmt: skip


def passing_reason(error: Exception) -> str:
    """Why something failed that can continue once that is over.

    Args:
        error: what was raised.

    Returns:
        The reason without a full stop; "" for a mistake of Candor's own.
    """
    from search.study.optuna.retry import BrokenStudy, passing  # late: it imports Optuna

    if isinstance(error, BrokenStudy | UnavailableError):
        return str(error)
    if type(error).__name__ == "MlflowException" and "API request" in str(error):
        return "the MLflow server does not answer; see that it runs, and that --tracking-uri is its address"
    return passing(error) or machine_failure(error)


def damaged_store(error: BaseException) -> str:
    """Say that a database is damaged, where that is what an error came from.

    Args:
        error: what a command raised; MLflow and SQLAlchemy wrap what SQLite says.

    Returns:
        One sentence, "" for everything else.
    """
    cause: BaseException | None = error
    while cause is not None and type(cause) is not sqlite3.DatabaseError:
        cause = cause.__cause__
    if cause is None:
        return ""
    return (
        f"a database of the workspace is damaged ({cause}): `candor doctor` says which; put back a copy "
        "of it, or take another workspace"
    )


def path_mistake(error: Exception) -> str:
    """What is wrong with a path that was given, where the system says no.

    Args:
        error: what a command raised.

    Returns:
        One sentence, "" for everything else.
    """
    if isinstance(error, OSError) and error.filename is not None and error.errno in _PATH_ERRORS:
        return f"{os.fsdecode(error.filename)} cannot be used ({error.strerror}): name another path"
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):
        return f"a path leads back to itself ({error}): name another"
    return ""
