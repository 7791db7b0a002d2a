"""Whose fault an error is: that of the disk, of the machine, or of the work that met it."""

import errno
import os

from search.execution.atomic_files import disk_is_full

#: What fails whoever asks, and what to look at.
_BROKEN = {
    errno.EIO: "the disk or the network share fails",
    errno.ESTALE: "the network share was mounted again",
    errno.ENODEV: "the disk or the network share is gone",
    errno.ENXIO: "the disk or the network share is gone",
    errno.EREMOTEIO: "the disk or the network share fails",
    errno.ENOTCONN: "the network share is gone",
    errno.EROFS: "the disk may only be read",
    errno.EMFILE: "too many open files in one process: raise `ulimit -n`",
    errno.ENFILE: "too many open files on this machine",
    errno.ENOMEM: "no memory is left, or `ulimit -v` is too low",
    errno.EAGAIN: "no process can be started: see `ulimit -u`",
}
#: What TensorFlow and PyTorch raise where a device has too little memory.
_OUT_OF_MEMORY = ("ResourceExhaustedError", "OutOfMemoryError")


def failure_kind(error: BaseException) -> str:
    """Tell what an evaluation failed of.

    Args:
        error: What was raised.

    Returns:
        A kind of `messages.Failed`: disk, machine, memory or error.
    """
    if disk_is_full(error):
        return "disk"
    if machine_failure(error):
        return "machine"
    if isinstance(error, MemoryError) or type(error).__name__ in _OUT_OF_MEMORY:
        return "memory"
    return "error"


def machine_failure(error: BaseException) -> str:
    """Say which part of the machine failed, where an error is no matter of the work that met it.

    Args:
        error: What was raised.

    Returns:
        The reason without a full stop; "" for every other error, a full disk included.
    """
    if not isinstance(error, OSError) or error.errno not in _BROKEN:
        return ""
    place = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    return f"{place}{error.strerror or error} ({_BROKEN[error.errno]})"
