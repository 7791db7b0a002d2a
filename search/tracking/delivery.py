"""Brings what the spool holds to MLflow, in order, beside whatever else goes on."""

import threading
from pathlib import Path

from search.safety.secrets import masked
from search.tracking.spool import Spool
from search.tracking.writer import Writer

_RETRY_SECONDS = (1, 2, 5, 10, 30)


class Delivery:
    """The thread that empties the spool into MLflow. An absent server makes it wait, and nobody else."""

    def __init__(self, spool: Spool, writer: Writer) -> None:
        self._spool = spool
        self._writer = writer
        self._closing = threading.Event()
        self.trouble: str | None = None  # why records wait, in MLflow's words
        self.refused = 0  # records that MLflow will never take
        self._thread = threading.Thread(target=self._deliver, name="delivery", daemon=True)
        self._thread.start()

    def drain(self, seconds: float) -> int:
        """Wait until all is delivered, the time is over, or there is trouble; how many still wait."""
        waited = 0.0
        while (pending := len(self._spool.pending())) and waited < seconds and self._thread.is_alive():
            if self.trouble and waited > 2:
                break
            self._closing.wait(0.05)
            waited += 0.05
        return pending

    def close(self, seconds: float = 60) -> int:
        """Deliver what can be delivered and end; how many records still wait in the spool."""
        pending = self.drain(seconds)
        self._closing.set()
        with self._spool.appended:
            self._spool.appended.notify_all()
        self._thread.join(30)
        return pending

    def _deliver(self) -> None:
        failures = 0
        while not self._closing.is_set():
            with self._spool.appended:
                pending = self._spool.pending()
                if not pending:
                    self._spool.appended.wait(1)
                    continue
            for path in pending:
                if self._closing.is_set():
                    return
                if self._deliver_one(path):
                    failures = 0
                else:
                    self._closing.wait(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
                    failures += 1
                    break

    def _deliver_one(self, path: Path) -> bool:
        """Whether the record is out of the way. Nothing ends this thread: not a full disk, not MLflow."""
        try:
            record = self._spool.read(path)
            try:
                self._writer.write(record)
            except Exception as error:
                if not _is_refusal(error):
                    raise
                self._spool.set_aside(record, masked(f"{type(error).__name__}: {error}"))
                self.refused += 1
            else:
                self._spool.remove(record)
        except Exception as error:
            self._writer.forget()
            self.trouble = f"{type(error).__name__}: {masked((str(error).splitlines() or [''])[0])[:200]}"
            return False
        self.trouble = None
        return True


def _is_refusal(error: Exception) -> bool:
    """Whether MLflow answered and said no for good, as against being away, slow or full."""
    from mlflow.exceptions import MlflowException

    return isinstance(error, MlflowException) and error.error_code in (
        "INVALID_PARAMETER_VALUE",
        "BAD_REQUEST",
        "RESOURCE_DOES_NOT_EXIST",
    )
