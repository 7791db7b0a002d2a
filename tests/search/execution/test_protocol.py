"""The trial protocol carries every message through a real pipe unchanged."""

import threading
from multiprocessing.connection import Pipe
from typing import Any

import pytest

from search.execution import messages
from search.execution.messages import (
    Built,
    Closing,
    Decision,
    Epoch,
    EvaluationResult,
    Failed,
    Infeasible,
    Suggest,
)
from tests.support.processes.tasks import small_task

TASK = small_task(space=["plain_cnn", "inception"], recipe={"learning_rate": 0.001}, epochs=3)
BUILT = Built(
    "plain_cnn",
    "",
    "plain 8",
    {"kernels": [8]},
    {"kernels": "8"},
    {"batch_size": 64},
    "a" * 12,
    "b" * 12,
    10,
    20,
)


@pytest.mark.parametrize(
    "message",
    [
        TASK,
        Suggest("family=inception/modules", {"kind": "integer", "low": 1, "high": 4}),
        BUILT,
        Infeasible("too large", 0.5, 10, None),
        Epoch(1, {"train_loss": 1.5}),
        Closing(),
        EvaluationResult("complete", score=0.5, metrics={"val_accuracy": 0.25}),
        Failed("diverged", "the loss is not finite"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_arrives_as_it_was_sent(message: Any) -> None:
    """What one side sends is what the other receives."""
    ours, theirs = Pipe()
    messages.send(ours, message)
    assert messages.receive(theirs) == message


def test_asking_returns_the_answer() -> None:
    """A question waits for its answer, so that a conversation reads as a call."""
    ours, theirs = Pipe()

    def serve() -> None:
        assert messages.receive(theirs) == Epoch(2, {})
        messages.answer(theirs, Decision.PRUNE)

    thread = threading.Thread(target=serve)
    thread.start()
    assert messages.ask(ours, Epoch(2, {})) == Decision.PRUNE
    thread.join()


def test_a_built_candidate_can_be_rebuilt_from_what_a_plan_stores() -> None:
    """A candidate in a plan holds the architecture and the recipe, and no fingerprints."""
    assert BUILT.candidate() == {
        "family": "plain_cnn",
        "variant": "",
        "label": "plain 8",
        "architecture": {"kernels": [8]},
        "recipe": {"batch_size": 64},
        "parameters": 10,
        "macs": 20,
    }
