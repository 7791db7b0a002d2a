"""Every family in `spaces/families/`, whichever there are, keeps what the protocol promises."""

import contextlib
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any
from unittest.mock import patch

import keras
import numpy as np
import pytest

from spaces.counting import count, count_before_building
from spaces.domains import (
    Categorical,
    Domain,
    Integer,
    Value,
)
from spaces.errors import InfeasibleArchitecture, UserError
from spaces.family import Family, family_names, fingerprint, load_family
from spaces.keras_tuner.hyperparameters import DrawnHyperParameters

# Keras 3.15 asks a TensorFlow variable for its array in a way that NumPy 2.4 is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FAMILIES = [load_family(name) for name in family_names()]
by_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
every_variant = pytest.mark.parametrize(
    ("family", "variant"),
    [(family, variant) for family in FAMILIES for variant in family.variants],
    ids=lambda value: getattr(value, "name", value),
)
#: The documented exceptions: variants that repeat a published fault; how many weights it leaves untrained.
UNTRAINED = {"inception.as_published": 4}
#: Without tracing, TensorFlow takes a single step in a tenth of the time; JAX takes many times longer.
EAGERLY = keras.backend.backend() == "tensorflow"
#: No test fetches weights.
OFFLINE = {"weights": "none"}


def least(_: str, domain: Domain) -> Value:
    return domain.choices[0] if isinstance(domain, Categorical) else domain.low


def default(_: str, domain: Domain) -> Value:
    assert domain.default is not None
    return domain.default


def smallest(family: Family) -> Any:
    """The first value of everything: small enough to train here, at every size of image."""
    return family.sample(DrawnHyperParameters(least, OFFLINE))


def built(family: Family, shape: tuple[int, int, int] = (32, 32, 1), classes: int = 3) -> keras.Model:
    keras.utils.set_random_seed(7)
    return family.build(smallest(family), shape, classes)


@cache
def shared(name: str) -> keras.Model:
    """One network of each family, for the tests that leave it as it is."""
    return built(load_family(name))


def images(shape: tuple[int, int, int], n: int = 4) -> np.ndarray:
    return np.random.default_rng(0).random((n, *shape), dtype="float32")


def predicted(model: keras.Model) -> np.ndarray:
    """Probabilities of random images, without the seconds that compiling takes."""
    batch = images(model.input_shape[1:])
    return np.asarray(keras.ops.convert_to_numpy(model(batch, training=False)))


@contextlib.contextmanager
def recording_weights() -> Iterator[list[keras.Variable]]:
    """Lists every weight that any layer makes, connected or not."""
    made: list[keras.Variable] = []
    add_weight = keras.layers.Layer.add_weight

    def recorded(self: keras.layers.Layer, *args: Any, **options: Any) -> keras.Variable:
        made.append(add_weight(self, *args, **options))
        return made[-1]

    with patch.object(keras.layers.Layer, "add_weight", recorded):
        yield made


def untrained(made: list[keras.Variable], model: keras.Model) -> list[str]:
    """Those of the trainable weights made for `model` that one step of training leaves as they were."""
    trainable = [weight for weight in made if weight.trainable]
    randomness = np.random.default_rng(1)
    for weight in (weight for weight in trainable if len(weight.shape) == 1):
        # Biases and scales start at 0 and 1: random ones let every gradient through.
        weight.assign(0.3 * randomness.standard_normal(weight.shape))
    before = [keras.ops.convert_to_numpy(weight).copy() for weight in trainable]
    model.compile(
        optimizer=keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy", run_eagerly=EAGERLY
    )
    model.train_on_batch(images(model.input_shape[1:], 8), np.arange(8) % model.output_shape[-1])
    return [
        w.path
        for w, old in zip(trainable, before, strict=True)
        if np.array_equal(keras.ops.convert_to_numpy(w), old)
    ]


@by_family
def test_a_family_says_what_it_is(family: Family) -> None:
    assert family.summary.endswith((".", ":")) or len(family.summary) > 20
    assert set(family.facts(smallest(family))) <= {"conv_stages", "kernels", "dense_layers", "neurons"}
    assert len(family.label(smallest(family))) > 3


@by_family
def test_every_field_is_a_hyperparameter_that_an_experiment_may_fix(family: Family) -> None:
    hp = DrawnHyperParameters(default)
    fields = family.to_dict(family.sample(hp))
    assert {
        f"{name}_1" if isinstance(value, list) and value else name for name, value in fields.items()
    } <= set(hp.values)
    assert {name: hp.values[count] for name, count in family.counts.items()} == {
        name: len(fields[name]) for name in family.counts
    }


@by_family
def test_an_architecture_is_the_same_after_a_dict_and_json(family: Family) -> None:
    for architecture in [
        smallest(family),
        family.sample(DrawnHyperParameters(default)),
        *family.variants.values(),
    ]:
        again = family.from_dict(json.loads(json.dumps(family.to_dict(architecture))))
        assert again == architecture
        assert fingerprint(family.to_dict(again)) == fingerprint(family.to_dict(architecture))


@by_family
def test_different_architectures_have_different_fingerprints_and_labels(family: Family) -> None:
    architectures = set(family.variants.values())
    assert len({fingerprint(family.to_dict(a)) for a in architectures}) == len(architectures)
    assert len({family.label(a) for a in architectures}) == len(architectures)


@by_family
def test_a_misspelt_field_is_answered_with_the_nearest(family: Family) -> None:
    field = next(iter(family.to_dict(smallest(family))))
    with pytest.raises(UserError, match=f"did you mean '{field}'"):
        family.from_dict({field + "x": 1})


@by_family
@pytest.mark.slow
def test_the_same_seed_builds_the_same_network(family: Family) -> None:
    one, other = shared(family.name), built(family)
    assert all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))
    assert np.array_equal(predicted(one), predicted(other))


@by_family
@pytest.mark.slow
def test_small_and_large_images_give_probabilities(family: Family) -> None:
    for model in (shared(family.name), built(family, (224, 224, 3), classes=5)):
        probabilities = predicted(model)
        assert probabilities.shape == (4, *model.output_shape[1:])
        assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)


@by_family
@pytest.mark.parametrize("shape", [(48, 48, 1), (96, 64, 3)], ids=str)
def test_images_of_every_size_can_be_classified(family: Family, shape: tuple[int, int, int]) -> None:
    assert count_before_building(lambda: family.build(smallest(family), shape, 5)).macs > 0


@by_family
def test_probabilities_are_float32_under_mixed_precision(family: Family) -> None:
    dtypes = []

    def outlined() -> keras.Model:
        model = family.build(smallest(family), (32, 32, 1), 3)
        dtypes.append((model.layers[-1].compute_dtype, model.output.dtype, model.layers[-2].compute_dtype))
        return model

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        count_before_building(outlined)
    finally:
        keras.config.set_dtype_policy("float32")
    assert dtypes == [("float32", "float32", "bfloat16")]


@by_family
@pytest.mark.trains
def test_a_network_trains_and_every_weight_with_it(family: Family) -> None:
    if not EAGERLY and family.name not in ("plain_cnn", "inception"):
        pytest.skip("JAX compiles for minutes what TensorFlow has shown already")
    with recording_weights() as made:
        model = built(family)
    assert untrained(made, model) == []


@by_family
@pytest.mark.slow
def test_a_network_is_the_same_after_a_keras_file(family: Family, tmp_path) -> None:
    model = shared(family.name)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert np.array_equal(predicted(model), predicted(again))


@by_family
def test_counting_before_building_is_counting(family: Family) -> None:
    before = count_before_building(lambda: family.build(smallest(family), (32, 32, 1), 3))
    model = shared(family.name)
    assert before == count(model)
    assert before.parameters == sum(int(np.prod(weight.shape)) for weight in model.weights)
    assert before.macs > 0


@by_family
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.slow
def test_any_candidate_that_can_be_drawn_can_be_built(family: Family, seed: int) -> None:
    randomness = random.Random(seed)

    def anything(_: str, domain: Domain) -> Value:
        if isinstance(domain, Categorical):
            return randomness.choice(domain.choices)
        if isinstance(domain, Integer):
            return randomness.randrange(domain.low, domain.high + 1, domain.step)
        return randomness.uniform(domain.low, domain.high)

    architecture = family.sample(DrawnHyperParameters(anything, OFFLINE))
    assert count_before_building(lambda: family.build(architecture, (48, 48, 1), 7)).parameters > 0
    assert family.from_dict(family.to_dict(architecture)) == architecture


@every_variant
@pytest.mark.slow
def test_a_variant_can_be_built_for_the_images_it_was_published_for(family: Family, variant: str) -> None:
    architecture = family.variants[variant]
    offline = family.from_dict(
        {name: OFFLINE.get(name, value) for name, value in family.to_dict(architecture).items()}
    )
    assert count_before_building(lambda: family.build(offline, (48, 48, 1), 7)).parameters > 0
    assert family.variant_of(architecture) == variant


@pytest.mark.parametrize("name", UNTRAINED)
@pytest.mark.trains
def test_published_faults_are_caught(name: str) -> None:
    family = load_family(name.partition(".")[0])
    with recording_weights() as made:
        model = family.build(family.variants[name.partition(".")[2]], (8, 8, 1), 3)
    assert len(untrained(made, model)) == UNTRAINED[name]


@pytest.mark.trains
def test_layers_that_are_made_and_never_connected_are_caught() -> None:
    """The published Inception's wiring, in small: a first convolution and hidden layers that lead nowhere."""
    from keras import layers

    with recording_weights() as made:
        inputs = keras.Input((8, 8, 1))
        layers.Conv2D(2, 5, name="first")(inputs)
        x = layers.Flatten()(layers.Conv2D(3, 3, name="second")(inputs))
        layers.Dense(4, name="hidden")(x)
        model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    assert untrained(made, model) == ["first/kernel", "first/bias", "hidden/kernel", "hidden/bias"]


def test_more_poolings_than_the_image_allows_are_infeasible() -> None:
    plain = load_family("plain_cnn")
    with pytest.raises(
        InfeasibleArchitecture, match="5 poolings need images of at least 32 pixels"
    ) as caught:
        plain.build(plain.variants["published_5_stages"], (16, 32, 1), 7)
    assert caught.value.violation == 1.0


@pytest.mark.parametrize(("name", "least"), [("custom_cnn", 16), ("lenet5_modern", 10)])
def test_images_resized_to_too_few_pixels_are_infeasible(name: str, least: int) -> None:
    family = load_family(name)

    def resized_to(side: int) -> keras.Model:
        return family.build(family.from_dict({"side": side}), (48, 48, 1), 7)

    assert count_before_building(lambda: resized_to(least)).macs > 0
    with pytest.raises(InfeasibleArchitecture, match=f"at least {least} pixels a side, these have"):
        resized_to(least - 1)


def test_a_list_in_the_wrong_place_is_a_users_mistake() -> None:
    with pytest.raises(UserError, match=r"plain_cnn.kernels must be a list .* Received: 64"):
        load_family("plain_cnn").from_dict({"kernels": 64})
    with pytest.raises(UserError, match=r"plain_cnn.head must be one of 'flatten', 'average'"):
        load_family("plain_cnn").from_dict({"head": "averaged"})


def test_an_unknown_family_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"did you mean 'inception'.*plain_cnn"):
        load_family("incepton")


def test_importing_every_family_loads_neither_keras_nor_tensorflow() -> None:
    program = (
        "import sys; from spaces.family import family_names, load_family; from spaces.space import Space;"
        "Space.parse(list(family_names()));"
        "heavy = {'keras', 'tensorflow', 'keras_tuner', 'jax', 'torch', 'numpy'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
