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


class ScalesImagesInPlace(OwnFit):
    def fit(self, hp, model, x, y, **kwargs):
        x /= 255.0
        return model.fit(x, y, **kwargs)


class SmoothsLabelsInPlace(OwnFit):
    def fit(self, hp, model, x, y, **kwargs):
        y *= 0.9
        return model.fit(x, y, **kwargs)


class AddsACallbackInPlace(OwnFit):
    def fit(self, hp, model, *args, **kwargs):
        kwargs["callbacks"].append(keras.callbacks.ReduceLROnPlateau())
        return model.fit(*args, **kwargs)


class AdaptsInFit(OwnFit):
    def build(self, hp):
        inputs = keras.Input(SHAPE)
        return keras.Model(inputs, classified(layers.Normalization(name="norm")(inputs)))

    def fit(self, hp, model, x, y, **kwargs):
        model.get_layer("norm").adapt(x)
        return model.fit(x, y, **kwargs)


class SetsWeightsInFit(OwnFit):
    def fit(self, hp, model, *args, **kwargs):
        model.set_weights([weights + 1 for weights in model.get_weights()])
        return model.fit(*args, **kwargs)


class LooksInFit(OwnFit):
    """Nothing that it does changes anything."""

    def fit(self, hp, model, x, y, callbacks=None, **kwargs):
        model(x * 2)
        model.set_weights(model.get_weights())
        return model.fit(x, y, callbacks=list(callbacks), **kwargs)


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


def classified(inputs, activation="softmax"):
    return layers.Dense(CLASSES, activation=activation)(layers.Flatten()(inputs))


def averaged_logits(hp, input_shape, num_classes):
    """A map for each class, averaged: the last layer has no activation to go by."""
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(layers.Conv2D(num_classes, 3)(inputs)))


def logits_that_add_up_to_1_on_noise(hp):
    """Each is two thirds of the mean of the image."""
    inputs = keras.Input(SHAPE)
    two_thirds = layers.Dense(CLASSES, use_bias=False, kernel_initializer=keras.initializers.Constant(2 / 3))
    return keras.Model(inputs, two_thirds(layers.GlobalAveragePooling2D()(inputs)))


class OwnLogits(keras.Model):
    """A class that ends in logits, and takes no arguments."""

    def __init__(self):
        super().__init__()
        self.flatten, self.top = layers.Flatten(), layers.Dense(CLASSES)

    def call(self, images):
        return self.top(self.flatten(images))


def subclassed_logits(hp):
    return OwnLogits()


def as_the_guide_to_mixed_precision_ends(hp):
    inputs = keras.Input(SHAPE)
    x = layers.Activation("softmax")(classified(inputs, None))
    return keras.Model(inputs, layers.Activation("linear", dtype="float32")(x))


def sigmoids(hp):
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, classified(inputs, "sigmoid"))


class OwnStep(OwnLogits):
    def train_step(self, *args, **kwargs):
        return super().train_step(*args, **kwargs)


class OwnLoss(OwnLogits):
    def compute_loss(self, *args, **kwargs):
        return 2 * super().compute_loss(*args, **kwargs)


class OwnLoopOfModel(OwnLogits):
    def fit(self, *args, **kwargs):
        return super().fit(*args, **kwargs)


def own_step(hp):
    return OwnStep()


def own_loss(hp):
    return OwnLoss()


def own_loop_of_model(hp):
    return OwnLoopOfModel()


class OfDrawnValues(keras.Model):
    """Its argument is nothing that Keras can write down."""

    def __init__(self, hp):
        super().__init__()
        self.flatten = layers.Flatten()
        self.top = layers.Dense(CLASSES, activation=hp.Choice("activation", ["softmax"]))

    def call(self, images):
        return self.top(self.flatten(images))


def of_drawn_values(hp):
    return OfDrawnValues(hp)


def any_size(hp):
    """Takes images of any height and width."""
    inputs = keras.Input((None, None, 1))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, padding="same")(inputs))
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(x))


def in_lists(hp):
    """One input and one output, each in a list; compiled."""
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs=[inputs], outputs=[classified(inputs)])
    model.compile("adam", "categorical_crossentropy")
    return model


def in_dicts(hp):
    inputs = keras.Input(SHAPE, name="image")
    return keras.Model(inputs={"image": inputs}, outputs={"classes": classified(inputs)})


def two_outputs(hp):
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, [classified(inputs), classified(inputs)])


def two_inputs(hp):
    inputs = [keras.Input(SHAPE), keras.Input(SHAPE)]
    return keras.Model(inputs, classified(layers.Add()(inputs)))


def one_sigmoid(hp):
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(layers.Flatten()(inputs)))


class CompilesInFit(OwnFit):
    """Draws its learning rate where it compiles: in `fit`."""

    def build(self, hp):
        inputs = keras.Input(SHAPE)
        return keras.Model(inputs, classified(inputs))

    def fit(self, hp, model, *args, **kwargs):
        rate = hp.Float("rate", 1e-4, 1e-1, sampling="log", default=0.02)
        model.compile(keras.optimizers.Adam(rate), "categorical_crossentropy")
        return model.fit(*args, **kwargs)


class SetsTheRateInFit(OwnFit):
    def fit(self, hp, model, *args, **kwargs):
        model.optimizer.learning_rate = hp.Float("rate", 1e-4, 1e-1, sampling="log", default=0.02)
        return model.fit(*args, **kwargs)


def compiled_with(optimizer):
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, classified(inputs))
    model.compile(optimizer, "categorical_crossentropy")
    return model


def decays(hp):
    return compiled_with(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, 100)))


def by_name(hp):
    return compiled_with(hp.Choice("optimizer", ["adam", "adamw", "nadam", "rmsprop", "sgd", "adagrad"]))


def adam_with_options(hp):
    return compiled_with(
        keras.optimizers.Adam(1e-3, beta_1=hp.Float("beta_1", 0.8, 0.99, default=0.85), clipnorm=1.0)
    )


def sgd_with_an_average(hp):
    optimizer = keras.optimizers.SGD(1e-2, momentum=0.8, nesterov=True, weight_decay=1e-4, use_ema=True)
    return compiled_with(optimizer)


def rmsprop_with_momentum(hp):
    return compiled_with(keras.optimizers.RMSprop(1e-3, momentum=0.9))


not_a_hypermodel = 3


def not_a_model(hp):
    return hp.Int("units", 1, 2)


tuned = OwnFit(CLASSES)


def wrong_reshape(hp):
    """Keras names the layer first and the cause some lines later."""
    return keras.Sequential([keras.Input(SHAPE), layers.Reshape((7, 7)), layers.Dense(CLASSES)])


def talks_of_sizes(hp):
    raise ValueError("Computed output size would be negative, by a mistake of this function's own")


def log_from_zero(hp):
    """Keras Tuner says "negative values", and no size is meant."""
    hp.Float("rate", 0.0, 1.0, sampling="log")
    return build(hp)


def a_chain_of_causes(hp):
    try:
        return {"small": 8}["large"]
    except KeyError as error:
        raise RuntimeError("no such size") from error
