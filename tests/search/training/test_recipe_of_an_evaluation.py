"""What a recipe asks for reaches the numbers and the saved model of an evaluation, in a child of its own."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from search.datasets.prepare import Prepared
from search.execution.fork_client import ForkServer
from search.execution.messages import (
    Built,
    Closing,
    Decision,
    Epoch,
    EvaluationResult,
    Infeasible,
    answer,
    receive,
    send,
)
from search.tracking import names
from search.training.recipe import Recipe
from spaces.space import Space
from tests.support.processes.tasks import small_task

pytestmark = pytest.mark.trains

RECIPE = {"test_time": "flip", "weight_average": 0.5, "mixup": 0.2, "flip": "alternating", "batch_size": 32}
CANDIDATE = {
    "family": "plain_cnn",
    "architecture": {"kernels": [4, 4], "neurons": [8], "batch_norm": True},
    "recipe": RECIPE,
}


def told(server: ForkServer, **fields: Any) -> list[Any]:
    """All that a child says of a task."""
    child, heard = server.fork(), []
    send(child.pipe, small_task(**fields))
    while not heard or not isinstance(heard[-1], EvaluationResult | Infeasible):
        heard.append(receive(child.pipe))
        if isinstance(heard[-1], Built | Epoch):
            answer(child.pipe, Decision.CONTINUE)
        elif not isinstance(heard[-1], Closing | EvaluationResult | Infeasible):
            raise AssertionError(heard[-1])
    return heard


def test_the_saved_model_gives_the_recorded_predictions(
    server: ForkServer, prepared: Prepared, tmp_path: Path
) -> None:
    said = told(
        server,
        candidate=CANDIDATE,
        dataset=str(prepared.folder),
        folder=str(tmp_path),
        epochs=2,
        patience=2,
        validate=True,
        keep_model=True,
    )
    built, result = said[0], said[-1]
    shape, classes = prepared.image_shape, len(prepared.class_names)
    one_view = Space.parse("plain_cnn").rebuild("plain_cnn", CANDIDATE["architecture"], shape, classes)
    assert built.macs == result.metrics[names.MACS] == 2 * one_view.macs
    assert built.recipe == Recipe.from_dict(RECIPE).every_field()
    assert result.metrics[names.AVERAGED] in (0.0, 1.0)
    stored = np.load(tmp_path / "artifacts" / names.PREDICTIONS_NPZ)
    model = keras.saving.load_model(tmp_path / "artifacts" / names.MODEL_KERAS, safe_mode=True)
    images = np.asarray(prepared.validation().images)
    order = np.argsort(prepared.validation().ids, kind="stable")
    np.testing.assert_allclose(model.predict_on_batch(images)[order], stored["probabilities"], atol=1e-5)
    assert result.metrics["monitor_final_accuracy"] == max(
        one.metrics["monitor_accuracy"] for one in said if isinstance(one, Epoch)
    )


def test_a_budget_counts_every_view(server: ForkServer, prepared: Prepared, tmp_path: Path) -> None:
    space = Space.parse("plain_cnn.published_1")
    shape, classes = prepared.image_shape, len(prepared.class_names)
    variant = space.rebuild("plain_cnn", {"kernels": [32, 32, 64, 64], "neurons": [128, 128]}, shape, classes)
    fields = {"space": "plain_cnn.published_1", "dataset": str(prepared.folder), "folder": str(tmp_path)}
    (refused,) = told(server, recipe=RECIPE, max_macs=2 * variant.macs - 1, **fields)
    assert isinstance(refused, Infeasible)
    assert refused.macs == 2 * variant.macs
    assert f"{2 * variant.macs:,} multiply-adds" in refused.reason
