"""Why MLflow did not take a record: it said no, it is away, something else answers, or the record is bad.

Only MLflow itself can refuse a record, and it does so in JSON. A proxy, a login page or a server that speaks
another protocol answers otherwise; nothing is given up for that.
"""

from enum import Enum, auto

from search.execution.atomic_files import disk_is_full
from search.safety.secrets import masked, masked_address
from spaces.errors import UnavailableError

_REFUSALS = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST")
#: What MLflow's server answers to a file where it cannot write to its own folder; a gateway says 502 to 504.
_CANNOT_WRITE = ("too many 500 error responses", "error code 500")
_DENIALS = ("UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED")


class Failure(Enum):
    """What a failure means for the records that wait."""

    REFUSED = auto()  # MLflow says no to this record
    DENIED = auto()  # a name and a password are wanted, or other ones
    NO_MLFLOW = auto()  # what answers is no MLflow
    ARTIFACTS = auto()  # MLflow answers, and files cannot be written to its artifact store
    AWAY = auto()  # nobody answers now; this passes
    RECORD = auto()  # this record cannot be sent; the others can


class ArtifactError(Exception):
    """Files could not be written to the artifact store."""


class ConflictError(Exception):
    """A record contradicts what MLflow holds already; writing it again later changes nothing."""


def failure_of(error: Exception, *, local: bool) -> Failure:
    """What an error means.

    Args:
        error: What was raised when a record was written to MLflow.
        local: Whether MLflow's store is a file on this machine, whose client is MLflow itself.
    """
    from mlflow.exceptions import MlflowException, RestException
    from sqlalchemy.exc import DBAPIError

    if isinstance(error, ConflictError):
        return Failure.REFUSED
    if isinstance(error, ArtifactError):
        return _of_files(error.__cause__, local)
    if isinstance(error, RestException):
        code = error.json.get("error_code")
        if code in _DENIALS:
            return Failure.DENIED
        if code in _REFUSALS and "message" in error.json:
            return Failure.REFUSED
        return Failure.AWAY if code else Failure.NO_MLFLOW
    if isinstance(error, MlflowException):
        return _of_answer(error, local)
    if isinstance(error, UnavailableError | DBAPIError | OSError) and not isinstance(error, UnicodeError):
        return Failure.AWAY
    return Failure.RECORD


def _of_files(cause: BaseException | None, local: bool) -> Failure:
    """A folder that cannot be written to has to be mended; a server that is away comes back by itself."""
    if not isinstance(cause, Exception):
        return Failure.ARTIFACTS
    passes = disk_is_full(cause) or isinstance(cause, ConnectionError | TimeoutError)
    if isinstance(cause, OSError) and cause.errno is not None and not passes:
        return Failure.ARTIFACTS
    if any(broken in str(cause) for broken in _CANNOT_WRITE):
        return Failure.ARTIFACTS
    inner = failure_of(cause, local=local)
    return inner if inner in (Failure.DENIED, Failure.AWAY) else Failure.ARTIFACTS


def _of_answer(error: Exception, local: bool) -> Failure:
    text, code = str(error), getattr(error, "error_code", "")
    if local:
        return Failure.REFUSED if code in _REFUSALS else Failure.AWAY
    if code in _DENIALS or "error code 401" in text or "error code 403" in text:
        return Failure.DENIED
    if "failed with exception" in text or "error code 5" in text or "error code 429" in text:
        return Failure.AWAY
    answered = "failed with error code" in text or "not in a valid JSON format" in text
    return Failure.NO_MLFLOW if answered else Failure.AWAY


def sentence_of(failure: Failure, error: Exception, tracking_uri: str) -> str:
    """What a failure means for the person who typed the command.

    Args:
        failure: What `failure_of` said.
        error: The error.
        tracking_uri: MLflow's address.
    """
    where, reason = masked_address(tracking_uri), reason_of(error)
    sentences = {
        Failure.DENIED: (
            f"MLflow at {where} wants a name and a password, or other ones ({reason}): set "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        ),
        Failure.NO_MLFLOW: (
            f"what answers at {where} is no MLflow server ({reason}): see that this is its address, with "
            "http or https as it wants, and that no login page or proxy is in between"
        ),
        Failure.ARTIFACTS: (
            f"MLflow at {where} takes records, and its artifact store takes no files ({reason}): see that "
            "it can be written to from here, or start the server with --serve-artifacts"
        ),
    }
    return sentences.get(failure, f"MLflow at {where} does not take records now ({reason})")


def reason_of(error: BaseException) -> str:
    """An error's type and its first line, without passwords, at most 200 letters.

    Args:
        error: Of an ArtifactError the cause is shown.
    """
    shown = error.__cause__ if isinstance(error, ArtifactError) and error.__cause__ else error
    first = (str(shown).splitlines() or [""])[0].partition(" (Caused by")[0]  # requests say all of it again
    return f"{type(shown).__name__}: {masked(first)[:200]}"
