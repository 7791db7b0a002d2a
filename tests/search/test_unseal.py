"""What an opened test set says is kept apart by candidate, and what cannot be opened costs no opening."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import pytest

from search import unseal
from search.datasets.prepare import Prepared
from search.tracking import names
from search.tracking.writer import Writer
from spaces.errors import UserError
from tests.spaces.hypermodels_to_keep import Shifted
from tests.support.studies.stores import new_store

#: Accuracies by candidate, one for each seed.
FOUND = {"aaaa": (0.5, 0.6), "bbbb": (0.7, 0.8)}
TO_KEEP = "tests.spaces.hypermodels_to_keep"


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two confirmed candidates on two seeds that are called alike; what was trained is left out."""
    runs = [
        SimpleNamespace(
            data=SimpleNamespace(
                tags={names.KEY: f"s/confirm/{candidate}/{seed}", names.CANDIDATE: candidate}
                | {names.LABEL: "plain 16-16", names.SEED: str(seed)},
                metrics={"accuracy": accuracy},
            )
        )
        for candidate, accuracies in FOUND.items()
        for seed, accuracy in enumerate(accuracies, start=1)
    ]
    monkeypatch.setattr(unseal, "sealed_test", lambda data: range(10))
    monkeypatch.setattr(unseal, "_openings", lambda writer, digest: {})
    monkeypatch.setattr(unseal, "_kept_runs", lambda writer, study, candidates: runs)
    monkeypatch.setattr(unseal, "_open", lambda writer, run: None)
    monkeypatch.setattr(unseal, "_measure", lambda writer, run, test, tags: run.data.metrics)


def test_candidates_that_share_a_label_are_not_averaged(kept: None) -> None:
    told: list[str] = []
    writer: Any = None
    data: Any = SimpleNamespace(test_digest="d")
    opening = unseal.unseal(writer, "s", "v", list(FOUND), data, told.append)
    assert opening == unseal.Opening(1, FOUND)
    assert told == ["opening 1 of this test set: 10 images, 4 models"]


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    """Of a new MLflow store."""
    return Writer(new_store(tmp_path), "small", tmp_path / "artifacts")


Keep = Callable[..., None]


@pytest.fixture
def keep(writer: Writer, tmp_path: Path) -> Keep:
    """Records a confirmed evaluation of study s, of a candidate and a seed, with its model."""

    def recorded(candidate: str, seed: int, model: keras.Model, name: str = "") -> None:
        tags = {
            names.KIND: names.EVALUATION_KIND,
            names.KEY: f"s/confirm/{candidate}/{seed}",
            names.STUDY: "s",
            names.STAGE: names.CONFIRM,
            names.STATE: names.COMPLETE,
            names.CANDIDATE: candidate,
            names.SEED: str(seed),
            names.FAMILY: f"{TO_KEEP}:{name}" if name else "plain_cnn",
        }
        run = writer.client.create_run(writer.experiment_id(), tags=tags, run_name=f"{candidate}, {seed}")
        file = tmp_path / names.MODEL_KERAS
        model.save(file)
        writer.client.log_artifact(run.info.run_id, str(file))

    return recorded


def network(shape: tuple[int, ...], classes: int, *within: keras.layers.Layer) -> keras.Model:
    top = keras.layers.Dense(classes, activation="softmax")
    return keras.Sequential([keras.Input(shape, dtype="uint8"), *within, keras.layers.Flatten(), top])


def states(writer: Writer) -> list[tuple[str, str]]:
    """Of the openings that are recorded: MLflow's and Candor's."""
    kind = f"tags.`{names.KIND}` = '{names.UNSEALING_KIND}'"
    runs = writer.client.search_runs([writer.experiment_id()], kind)
    return [(run.info.status, run.data.tags[names.STATE]) for run in runs]


def test_a_model_that_cannot_be_opened_costs_no_opening(
    writer: Writer, keep: Keep, prepared: Prepared
) -> None:
    """Also where it is not the first: before any other is shown an image."""
    shape, classes = prepared.image_shape, len(prepared.class_names)
    keep("aaaa", 1, network(shape, classes))
    keep("bbbb", 1, network(shape, classes, keras.layers.Lambda(lambda images: images)))
    told: list[str] = []
    with pytest.raises(UserError, match="the model of bbbb, 1 asks for code of its own"):
        unseal.unseal(writer, "s", "v", ["aaaa", "bbbb"], prepared, told.append)
    assert (told, states(writer)) == ([], [])


def test_a_model_that_is_shown_the_images_costs_an_opening(
    writer: Writer, keep: Keep, prepared: Prepared
) -> None:
    """Whatever comes of it: it is recorded before."""
    height, width, channels = prepared.image_shape
    keep("aaaa", 1, network((height + 1, width, channels), len(prepared.class_names)))
    with pytest.raises(ValueError, match=r"incompatible|shape"):
        unseal.unseal(writer, "s", "v", ["aaaa"], prepared, lambda text: None)
    assert states(writer) == [("RUNNING", names.RUNNING)]


def test_a_model_with_classes_of_its_hypermodel_is_measured_once(
    writer: Writer, keep: Keep, prepared: Prepared
) -> None:
    shape, classes = prepared.image_shape, len(prepared.class_names)
    for seed in (1, 2):
        keep("aaaa", seed, network(shape, classes, keras.layers.Rescaling(1 / 255), Shifted()), "shifted")
    told: list[str] = []
    opening = unseal.unseal(writer, "s", "v", ["aaaa"], prepared, told.append)
    assert (opening.number, len(opening.accuracies["aaaa"]), len(told)) == (1, 2, 1)
    assert states(writer) == [("FINISHED", names.COMPLETE)] * 2
    with pytest.raises(UserError, match="opened for this verdict already"):
        unseal.unseal(writer, "s", "v", ["aaaa"], prepared, told.append)
