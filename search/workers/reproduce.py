"""Trains a recorded evaluation again, in a child of its own, without a study."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from search.datasets.cache.prepared import Prepared
from search.execution.fork_client import ForkServer
from search.execution.messages import (
    REPEATED,
    Built,
    Closing,
    Decision,
    Epoch,
    EvaluationResult,
    Failed,
    Round,
    Task,
    answer,
    receive,
    send,
)
from search.tracking import names
from spaces.errors import UserError


def task_of(record: Mapping[str, Any], data: Prepared, folder: Path) -> Task:
    """The task of a recorded evaluation (names.EVALUATION_JSON), its files to be written to `folder`."""
    conditions, candidate = record["conditions"], record["candidate"]
    return Task(
        **{name: record[name] for name in REPEATED if name in record},
        dataset=str(data.folder),
        folder=str(folder),
        recipe=candidate["recipe"],
        candidate=candidate,
        precision=conditions["precision"],
        threads=conditions["threads"],
    )


def train_again(
    server: ForkServer, task: Task, heard: Callable[[Epoch], None], last_epoch: int | None = None
) -> EvaluationResult:
    """Train it; one that was pruned ends after the same epoch. Files lie in the task's folder.

    heard: told each epoch. Raises UserError for what the user can mend, RuntimeError where the child broke.
    """
    child = server.fork()
    try:
        send(child.pipe, task)
        while True:
            match receive(child.pipe):
                case Built():
                    answer(child.pipe, Decision.CONTINUE)
                case Closing():
                    pass
                case Epoch() as epoch:
                    heard(epoch)
                    answer(child.pipe, Decision.PRUNE if epoch.epoch == last_epoch else Decision.CONTINUE)
                case Round():
                    answer(child.pipe, Decision.CONTINUE)
                case EvaluationResult() as result:
                    return result
                case Failed("diverged", message):
                    return EvaluationResult(names.DIVERGED, message)
                case Failed("user", message):
                    raise UserError(message)
                case Failed() as failed:
                    raise RuntimeError(f"{failed.message}\n{failed.detail}")
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise RuntimeError(f"the process ended without a result: {child.wait(10)}") from None
    finally:
        child.end()
