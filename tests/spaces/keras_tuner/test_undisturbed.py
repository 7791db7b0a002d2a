"""Whatever a hypermodel does while it builds: the study's seeds, precision and session stay what they are."""

import random
import sys

import keras
import numpy as np
import pytest

from spaces.errors import UserError
from spaces.keras_tuner.hyperparameters import DrawnHyperParameters
from spaces.space import BuiltArchitecture, Space

HERE = "tests.spaces.keras_tuner.unruly_hypermodels"
SHAPE, CLASSES = (8, 8, 1), 3


def built(name: str, module: str = HERE) -> BuiltArchitecture:
    """Imported anew, as each child does."""
    sys.modules.pop(module, None)
    hp = DrawnHyperParameters(lambda path, domain: 0)
    return Space.parse(f"{module}:{name}").build(hp, SHAPE, CLASSES)


def first_weights(name: str, seed: int) -> np.ndarray:
    keras.utils.set_random_seed(seed)
    return np.concatenate([np.ravel(weights) for weights in built(name).model.get_weights()])


@pytest.mark.parametrize("name", ["plain", "seeded", "seeded_by_layer"])
def test_a_seed_in_a_hypermodel_does_not_make_all_seeds_one(name: str) -> None:
    """Or all seeds of a candidate would begin with the same weights, and look steadier than they are."""
    assert np.array_equal(first_weights(name, 1), first_weights(name, 1))
    assert not np.array_equal(first_weights(name, 1), first_weights(name, 2))
    random.seed(1)
    drawn = random.random()
    random.seed(1)
    assert random.random() == drawn  # seeds are seeds again


def test_dropout_with_a_seed_drops_other_units_with_other_seeds() -> None:
    masks = []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        network = built("seeded_by_layer").model
        dropout = next(
            layer for layer in network._flatten_layers() if isinstance(layer, keras.layers.Dropout)
        )
        masks.append(keras.ops.convert_to_numpy(dropout(np.ones((1, 64)), training=True)))
    assert not np.array_equal(*masks)


def test_outside_a_hypermodel_a_seed_is_a_seed() -> None:
    built("seeded_by_layer")
    drawn = [keras.initializers.GlorotUniform(seed=3)((4, 4)) for _ in range(2)]
    assert np.array_equal(*map(keras.ops.convert_to_numpy, drawn))


def test_a_cleared_session_keeps_the_precision() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = built("cleared").model
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    dense = next(layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Dense))
    assert dense.compute_dtype == "bfloat16"


@pytest.mark.parametrize("name", ["in_half_precision", "InHalfPrecisionToo"])
def test_another_precision_is_refused_and_undone(name: str) -> None:
    sentence = f"{name} sets the precision to mixed_float16: leave that out, protocol.precision decides"
    with pytest.raises(UserError, match=sentence):
        built(name)
    assert keras.config.dtype_policy().name == "float32"


def test_batches_of_one_size_are_refused() -> None:
    with pytest.raises(UserError, match="takes exactly 32 images at a time: leave batch_size out"):
        built("in_batches")


def test_a_package_that_is_missing_is_named() -> None:
    module = "tests.spaces.keras_tuner.hypermodel_of_a_package"
    with pytest.raises(
        UserError, match=f"{module} imports a_package_that_nobody_has, which is not installed"
    ):
        built("build", module)


def test_whole_numbers_are_made_of_images() -> None:
    model = built("of_whole_numbers").model
    inner = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    pixels = np.random.default_rng(0).integers(0, 256, (4, *SHAPE), dtype=np.uint8)
    expected = keras.ops.convert_to_numpy(inner(pixels))
    assert np.allclose(keras.ops.convert_to_numpy(model(pixels.astype("float32") / 255)), expected, atol=1e-6)
