"""Hypermodels that would decide what is the study's: seeds, the session, the precision, the batch."""

import random

import keras
import keras_tuner

keras.utils.set_random_seed(42)
random.seed(42)


def _network(shape: tuple[int, ...] = (8, 8, 1)) -> keras.Model:
    flat = [keras.layers.Flatten(), keras.layers.Dropout(0.5), keras.layers.Dense(3, activation="softmax")]
    return keras.Sequential([keras.Input(shape), *flat])


def plain(hp: object) -> keras.Model:
    """The file has a seed."""
    return _network()


def seeded(hp: object) -> keras.Model:
    """So has the function."""
    keras.utils.set_random_seed(7)
    return _network()


def seeded_by_layer(hp: object) -> keras.Model:
    """As those have it who want the same weights each time."""
    start = keras.initializers.GlorotUniform(seed=42)
    dense = [keras.layers.Dense(8, kernel_initializer=start), keras.layers.Dropout(0.5, seed=42)]
    head = keras.layers.Dense(3, kernel_initializer=keras.initializers.Orthogonal(seed=42))
    return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), *dense, head])


def cleared(hp: object) -> keras.Model:
    """As many begin that build many networks in one process."""
    keras.backend.clear_session()
    return _network()


def in_half_precision(hp: object) -> keras.Model:
    """For a GPU."""
    keras.mixed_precision.set_global_policy("mixed_float16")
    return _network()


class InHalfPrecisionToo(keras_tuner.HyperModel):
    """In its fit."""

    def build(self, hp: object) -> keras.Model:
        """As all of them."""
        return _network()

    def fit(self, hp: object, model: keras.Model, *args: object, **options: object) -> object:
        """Train."""
        keras.mixed_precision.set_global_policy("mixed_float16")
        return model.fit(*args, **options)


def by_chance(hp: object) -> keras.Model:
    """Another width each time, whatever the seeds are."""
    hidden = keras.layers.Dense(random.SystemRandom().randint(2, 10**4), activation="relu")
    layers = [keras.layers.Flatten(), hidden, keras.layers.Dense(3, activation="softmax")]
    return keras.Sequential([keras.Input((16, 16, 1)), *layers])


def in_batches(hp: object) -> keras.Model:
    """For so many images and no others."""
    images = keras.Input((8, 8, 1), batch_size=32)
    return keras.Model(images, keras.layers.Dense(3)(keras.layers.Flatten()(images)))


def of_whole_numbers(hp: object) -> keras.Model:
    """For images as files have them."""
    images = keras.Input((8, 8, 1), dtype="uint8")
    scaled = keras.ops.cast(images, "float32") / 255
    return keras.Model(images, keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(scaled)))
