"""Hypermodels as people write them for Keras Tuner: what Candor must take as they are."""

import keras
import keras_tuner
from keras import layers

SHAPE, CLASSES = (16, 16, 1), 3


def build(hp):
    """Every kind of hyperparameter; compiled."""
    model = keras.Sequential([keras.Input(SHAPE)])
    for i in range(hp.Int("blocks", 1, 2)):
        with hp.name_scope(f"block_{i}"):
            model.add(layers.Conv2D(hp.Int("kernels", 4, 16, step=4), hp.Choice("size", [1, 3])))
            if hp.Boolean("pool"):
                model.add(layers.MaxPooling2D())
    model.add(layers.Activation(hp.Choice("activation", ["relu", "tanh"])))
    top = hp.Choice("top", ["flatten", "average"])
    with hp.conditional_scope("top", ["flatten"]):
        if top == "flatten":
            model.add(layers.Flatten())
            model.add(layers.Dense(hp.Int("units", 8, 64, step=2, sampling="log")))
    with hp.conditional_scope("top", ["average"]):
        if top == "average":
            model.add(layers.GlobalAveragePooling2D())
            model.add(layers.Dense(hp.Choice("units", [5, 6, 7])))
    hp.Fixed("note", "as written")
    model.add(
        layers.Dropout(
            hp.Float("dropout", 0.0, 0.4, step=0.1, parent_name="top", parent_values="flatten") or 0.1
        )
    )
    model.add(layers.Dense(CLASSES, activation="softmax"))
    optimizer = hp.Choice("optimizer", ["sgd", "adam", "rmsprop"])
    rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log", default=1e-2)
    model.compile(
        keras.optimizers.get({"class_name": optimizer, "config": {"learning_rate": rate}}),
        "categorical_crossentropy",
    )
    assert hp.get("learning_rate") == hp["learning_rate"] == rate
    return model


def logits_of_bytes(hp, input_shape, num_classes):
    """Not compiled; takes 0 to 255; ends in logits."""
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Rescaling(1 / 255),
            layers.Flatten(),
            layers.Dense(hp.Int("units", 4, 8, sampling="reverse_log"), activation="relu"),
            layers.Dense(num_classes),
        ]
    )


class OwnFit(keras_tuner.HyperModel):
    """Draws in `fit` too, as Keras Tuner's guide shows."""

    def __init__(self, num_classes):
        super().__init__()
        self.num_classes = num_classes

    def build(self, hp):
        inputs = keras.Input(SHAPE)
        x = layers.Flatten()(inputs)
        outputs = layers.Dense(self.num_classes, activation="softmax")(x)
        model = keras.Model(inputs, outputs)
        model.compile(
            keras.optimizers.SGD(0.05, momentum=0.8), "sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        return model

    def fit(self, hp, model, *args, **kwargs):
        return model.fit(
            *args,
            batch_size=hp.Choice("batch_size", [16, 32]),
            epochs=hp.Int("epochs", 2, 5),
            shuffle=hp.Boolean("shuffle", default=True),
            **kwargs,
        )


class ChangesImages(OwnFit):
    def fit(self, hp, model, x, y, **kwargs):
        return model.fit(x - 0.5 if hp.Boolean("centre", default=True) else x, y, **kwargs)


class OwnLoop(OwnFit):
    def fit(self, hp, model, x, y, **kwargs):
        return {"val_accuracy": float(keras.ops.max(model(x)))}


class Inner(keras_tuner.HyperModel):
    def build(self, hp):
        return layers.Dense(hp.Int("inner_units", 2, 9, default=5), activation="relu")


class Outer(keras_tuner.HyperModel):
    """A hypermodel within another one; the inner one is not tunable."""

    def build(self, hp):
        inputs = keras.Input(SHAPE)
        x = Inner(tunable=False).build(hp)(layers.Flatten()(inputs))
        return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(x))


class OwnModel(keras.Model):
    """Somebody's own class, in place of a graph."""

    def __init__(self, kernels, **options):
        super().__init__(**options)
        self.convolution = layers.Conv2D(kernels, 3)
        self.pool, self.top = layers.GlobalMaxPooling2D(), layers.Dense(CLASSES, activation="softmax")

    def call(self, images):
        return self.top(self.pool(self.convolution(images)))


def subclassed(hp):
    return OwnModel(hp.Int("kernels", 2, 4))


def adapts(hp):
    """Computes while it builds: weights must be there."""
    import numpy as np

    centre = layers.Normalization()
    centre.adapt(np.ones((4, *SHAPE), "float32"))
    units = hp.Int("units", 2, 4)
    return keras.Sequential(
        [keras.Input(SHAPE), centre, layers.Flatten(), layers.Dense(units), layers.Dense(CLASSES)]
    )


def too_deep(hp):
    """More poolings than 16 pixels allow."""
    x = inputs = keras.Input(SHAPE)
    for _ in range(hp.Int("poolings", 6, 9)):
        x = layers.MaxPooling2D()(x)
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(layers.Flatten()(x)))


def gives_up(hp):
    raise keras_tuner.errors.FailedTrialError("too slow")


def enormous(hp):
    """More weights than any machine holds; compiled."""
    model = keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Flatten(),
            layers.Dense(hp.Int("units", 10**9, 10**10)),
            layers.Dense(CLASSES),
        ]
    )
    model.compile("adam", "categorical_crossentropy")
    return model


not_a_hypermodel = 3


def not_a_model(hp):
    return hp.Int("units", 1, 2)


tuned = OwnFit(CLASSES)
