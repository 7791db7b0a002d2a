"""Large images are predicted few at a time, in training, for a person and when served; small ones as ever."""

from typing import Any

import keras
import numpy as np
import pytest

from search.models.classifier import as_classifier
from search.models.predict import raw_probabilities
from search.models.registry import serving
from search.training.batches import prediction_batch
from search.training.composition import predict


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(28, 28, 256), (96, 96, 256), (48, 192, 256), (97, 97, 250), (224, 224, 47), (5000, 5000, 1)],
)
def test_a_batch_has_no_more_pixels_than_256_images_of_96x96(height: int, width: int, expected: int) -> None:
    """`serving.py` runs without Candor, so it has the rule once more."""
    assert prediction_batch(height, width) == serving._batch(height, width) == expected


def test_every_way_to_predict_keeps_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """And all give the same answers."""
    images = keras.Input((224, 224, 1), dtype="uint8")
    means = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(images))
    network = keras.Model(images, keras.layers.Dense(3, activation="softmax")(means))
    sizes: list[int] = []
    whole = network.predict_on_batch

    def counted(batch: np.ndarray) -> Any:
        sizes.append(len(batch))
        return whole(batch)

    monkeypatch.setattr(network, "predict_on_batch", counted)
    served = serving.ImageClassifier()
    served._network, served._temperature = network, 1.0
    pixels = np.random.default_rng(0).integers(0, 256, (50, 224, 224, 1), dtype=np.uint8)
    expected = predict(network, pixels)
    assert expected.shape == (50, 3)
    assert raw_probabilities(as_classifier(network, None, "large"), pixels) == pytest.approx(
        expected, abs=1e-5
    )
    assert served._probabilities(pixels) == pytest.approx(expected, abs=1e-5)
    assert sizes == [47, 47, 47, 47, 47, 3]
