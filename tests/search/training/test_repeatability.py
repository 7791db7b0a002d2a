"""The same seed gives the same training to the bit, in one go or interrupted, and a model Keras loads."""

from typing import Any

import numpy as np
import pytest

from tests.support.training import plain_keras
from tests.support.training.small_training import MIXED, RESTLESS, facts_of, fresh_processes, labelled

pytestmark = pytest.mark.trains


@pytest.fixture(scope="module", params=[RESTLESS, MIXED], ids=["restless", "mixed"])
def outcomes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Trainings of four epochs, each part in a process of its own."""
    folder, recipe = tmp_path_factory.mktemp("outcomes"), request.param
    interrupted, model = folder / "checkpoint", folder / "model.keras"
    with fresh_processes() as processes:
        first_half = processes.submit(facts_of, 7, interrupted, 2, None, recipe)
        whole = processes.submit(facts_of, 7, None, None, model, recipe)
        halves = [
            first_half.result(),
            processes.submit(facts_of, 7, interrupted, None, None, recipe).result(),
        ]
        whole.result()
        loaded = processes.submit(plain_keras.predict, model, labelled(96, 1)[0]).result()
        saved = [path.name for path in interrupted.iterdir()]
        falls = recipe is RESTLESS  # the other one warms up
        return {
            "whole": whole.result(), "halves": halves, "loaded": loaded, "saved": saved, "falls": falls
        }  # fmt: skip


def test_two_and_two_epochs_equal_four_to_the_bit(outcomes: dict[str, Any]) -> None:
    """Three processes: so this also says that one seed gives one result."""
    first, second = outcomes["halves"]
    assert first["outcome"] == "stopped"
    assert first["history"] == outcomes["whole"]["history"][:2]
    assert second == outcomes["whole"]


def test_these_epochs_had_all_that_could_differ(outcomes: dict[str, Any]) -> None:
    history = outcomes["whole"]["history"]
    assert len({epoch["train_loss"] for epoch in history}) == 4
    first, last = history[1]["learning_rate"], history[-1]["learning_rate"]
    assert (last < first) if outcomes["falls"] else (last != first)


def test_plain_keras_loads_the_model_safely_and_predicts_the_same(outcomes: dict[str, Any]) -> None:
    np.testing.assert_allclose(outcomes["loaded"], outcomes["whole"]["probabilities"], atol=1e-6)


def test_nothing_but_the_state_lies_in_the_checkpoint(outcomes: dict[str, Any]) -> None:
    assert outcomes["saved"] == ["state.npz"]
