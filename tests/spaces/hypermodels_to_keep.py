"""Hypermodels with something of their own in the network: what Keras opens again, and what it never will."""

import keras
import numpy as np
from keras import layers

SHAPE, CLASSES = (16, 16, 1), 3


def classifying(*within, activation="softmax"):
    """Images, what is within, and a classifier."""
    return keras.Sequential(
        [keras.Input(SHAPE), *within, layers.Flatten(), layers.Dense(CLASSES, activation=activation)]
    )


class Shifted(layers.Layer):
    """Not registered; Keras makes its config."""

    def __init__(self, by=0.5, **options):
        super().__init__(**options)
        self.by = by

    def call(self, images):
        return images - self.by


@keras.saving.register_keras_serializable("others")
class Scaled(Shifted):
    def call(self, images):
        return images * self.by


class Centred(layers.Layer):
    """Needs real numbers while it is built."""

    def build(self, input_shape):
        self.centre = keras.Variable(np.full(input_shape[1:], 0.5, "float32"), trainable=False)

    def call(self, images):
        return images - self.centre


class Wrapped(keras.Model):
    """A model class that says itself what it is made of."""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = units
        self.hidden, self.top = layers.Dense(units), layers.Dense(CLASSES, activation="softmax")
        self.flatten = layers.Flatten()

    def call(self, images):
        return self.top(self.hidden(self.flatten(images)))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Bare(keras.Model):
    """Takes nothing of what Keras writes into every config."""

    def __init__(self):
        super().__init__()
        self.hidden, self.top = layers.Dense(3), layers.Dense(CLASSES)
        self.flatten = layers.Flatten()

    def call(self, images):
        return self.top(self.hidden(self.flatten(images)))


class Forgetful(layers.Layer):
    """Its config lacks what its `__init__` takes."""

    def __init__(self, by, **options):
        super().__init__(**options)
        self.by = by

    def call(self, images):
        return images - self.by

    def get_config(self):
        return super().get_config()


def own_softmax(numbers):
    return keras.ops.softmax(numbers)


def own_square(numbers):
    return numbers**2


@keras.saving.register_keras_serializable("others")
def own_registered_softmax(numbers):
    return keras.ops.softmax(numbers)


def own_loss(truth, said):
    return keras.losses.categorical_crossentropy(truth, said)


def shifted(hp):
    return classifying(Shifted(0.25))


def scaled(hp):
    return classifying(Scaled())


def centred(hp):
    return classifying(Centred())


def wrapped(hp):
    return Wrapped(hp.Int("units", 2, 4))


def bare(hp):
    return Bare()


def registered_function(hp):
    return classifying(activation=own_registered_softmax)


def expression(hp):
    images = keras.Input(SHAPE)
    return keras.Model(images, layers.Dense(CLASSES, "softmax")(layers.Flatten()(images[:, ::2] - 0.5)))


def compiled_with_its_own(hp):
    """Loss and metrics are the protocol's."""
    model = wrapped(hp)
    model.compile("adam", lambda truth, said: own_loss(truth, said), metrics=[own_loss])
    return model


def graph_compiled_with_its_own(hp):
    images = keras.Input(SHAPE)
    model = keras.Model(images, layers.Dense(CLASSES, "softmax")(layers.Flatten()(images)))
    model.compile("adam", own_loss)
    return model


def lambda_layer(hp):
    return classifying(layers.Lambda(lambda images: images - 0.5))


def lambda_of_a_function(hp):
    return classifying(layers.Lambda(own_square, output_shape=SHAPE))


def lambda_activation(hp):
    return classifying(activation=lambda numbers: keras.ops.softmax(numbers))


def softmax_of_tensorflow(hp):
    import tensorflow as tf

    return classifying(activation=tf.nn.softmax)


def own_function(hp):
    return classifying(activation=own_softmax)


def forgetful(hp):
    return classifying(Forgetful(0.5))


def class_in_a_function(hp):
    class Hidden(Shifted):
        pass

    return classifying(Hidden())
