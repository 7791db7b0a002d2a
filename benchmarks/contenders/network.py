"""The space that every contender searches: one Keras Tuner hypermodel, which Candor takes as it is.

Plain networks of 2 to 4 convolution stages for 48x48 gray images and 7 classes, with Adam's learning rate.
"""

from typing import Any

import keras
from keras import layers

INPUT_SHAPE, CLASSES = (48, 48, 1), 7


def build(hp: Any, *, augmented: bool = False) -> keras.Model:
    """A compiled network drawn from `hp`: bytes in, probabilities out."""
    model = keras.Sequential([keras.Input(INPUT_SHAPE)])
    if augmented:
        for layer in (
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(10 / 360),
            layers.RandomTranslation(0.1, 0.1),
            layers.RandomZoom(0.1),
        ):
            model.add(layer)
    model.add(layers.Rescaling(1 / 255))
    batch_norm = hp.Boolean("batch_norm", default=True)
    dropout = hp.Float("dropout", 0.0, 0.4, step=0.1, default=0.2)
    for stage in range(1, hp.Int("conv_stages", 2, 4, default=3) + 1):
        kernels = hp.Choice(f"kernels_{stage}", [16, 32, 64, 128], default=32)
        model.add(layers.Conv2D(kernels, 3, padding="same", use_bias=not batch_norm))
        if batch_norm:
            model.add(layers.BatchNormalization())
        model.add(layers.ReLU())
        model.add(layers.MaxPooling2D())
        if dropout:
            model.add(layers.Dropout(dropout))
    model.add(layers.Flatten())
    for layer in range(1, hp.Int("dense_layers", 1, 2) + 1):
        model.add(layers.Dense(hp.Choice(f"neurons_{layer}", [64, 128, 256, 512], default=128), "relu"))
    model.add(layers.Dense(CLASSES, "softmax", dtype="float32"))
    rate = hp.Float("learning_rate", 1e-4, 1e-2, sampling="log", default=1e-3)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def augmented(hp: Any) -> keras.Model:
    """The same with Keras' own augmentation layers in front, as Keras' guides have it."""
    return build(hp, augmented=True)
