"""An evaluation is trained again from its record, and what is said of the two is true."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from trained_study import Trained

from experiments.workflows.models.reproduce import likeness_of, reproduce
from experiments.workflows.study.lookup import find_evaluation, images_of
from reports.records.predictions import Predictions
from search.tracking import names
from search.tracking.environment import conditions, differing
from spaces.errors import UserError

pytestmark = pytest.mark.trains


def test_a_confirmed_evaluation_comes_out_the_same_to_the_bit(trained: Trained) -> None:
    run, told = trained.run_of(names.CONFIRM), list[str]()
    done = reproduce(run[:10], trained.workspace, trained.tracking, None, told.append)
    assert (done.likeness, done.differing) == ("same to the bit", ())
    assert sum(line.startswith("epoch") for line in told) == 2


def test_the_record_alone_holds_what_it_takes(trained: Trained) -> None:
    found = find_evaluation(trained.run_of(names.EXPLORE), trained.tracking)
    record = json.loads(found.store.artifact(found.run, names.EVALUATION_JSON).read_text())
    assert record["key"] == found.run.tags[names.KEY]
    assert record["data"]["digest"] == found.parent.tags[names.DATA_DIGEST]
    assert record["candidate"]["architecture"]["kernels"]
    told = record["conditions"]
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    assert told == conditions(backend, told["precision"], told["threads"])


def test_what_is_not_as_it_was_is_named() -> None:
    now = conditions("tensorflow", "float32", 1)
    then = {**now, "threads": 2, "versions": {**now["versions"], "keras": "3.0.0"}}
    assert differing(then, now) == ["threads 2, now 1", f"keras 3.0.0, now {now['versions']['keras']}"]


def test_a_few_other_answers_are_noise_and_many_are_not() -> None:
    random = np.random.default_rng(0)
    labels, probabilities = random.integers(0, 3, 400), random.random((400, 3)).astype(np.float32)
    ids = np.array([f"{number:04}" for number in range(400)])
    then = Predictions(ids, labels, probabilities, np.arange(400), np.zeros(400, bool))
    assert likeness_of(then, then, None, 5)[0] == "same to the bit"
    shaken = replace(then, probabilities=probabilities + random.normal(0, 0.01, (400, 3)).astype(np.float32))
    assert likeness_of(then, shaken, 1, 5)[0] == "within noise"
    right = replace(then, probabilities=np.eye(3, dtype=np.float32)[labels])
    likeness, evidence = likeness_of(then, right, 1, 5)
    assert likeness == "not the same"
    assert "apart from epoch 1 on" in evidence


def test_other_images_and_unknown_runs_are_refused(trained: Trained) -> None:
    found = find_evaluation(trained.run_of(names.CONFIRM), trained.tracking)
    other = "synthetic:train=200,validation=80,test=40"
    with pytest.raises(UserError, match="other images than the study's"):
        images_of(found, trained.workspace, other, lambda text: None)
    with pytest.raises(UserError, match="holds no evaluation 0123456789"):
        find_evaluation("0123456789", trained.tracking)
    with pytest.raises(UserError, match=f"{names.KEY} such as"):
        find_evaluation("no/such/key", trained.tracking)


def test_a_key_names_an_evaluation_as_its_run_does(trained: Trained, tmp_path: Path) -> None:
    found = find_evaluation(trained.run_of(names.CONFIRM), trained.tracking)
    assert find_evaluation(found.run.tags[names.KEY], trained.tracking).run.run_id == found.run.run_id
