"""Any Keras Tuner hypermodel is a space, any family a hypermodel, and both sides see the same candidates."""

import re

import keras
import keras_tuner
import numpy as np
import pytest

from search.training.recipe import OPTIMIZERS
from spaces.domains import (
    Categorical,
    Domain,
    Integer,
    Real,
    Value,
)
from spaces.errors import HypermodelError, InfeasibleArchitecture, UserError
from spaces.family import family_names, load_family
from spaces.keras_tuner.hypermodels import FamilyHyperModel
from spaces.keras_tuner.hyperparameters import DrawnHyperParameters, domain_of, path_of
from spaces.space import BuiltArchitecture, Space, _label

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
HERE = "tests.spaces.keras_tuner.hypermodels_of_others"
SHAPE, CLASSES = (16, 16, 1), 3


class Asked(dict[str, Domain]):
    """A suggester: the given values, else defaults; it remembers its questions and hears each once."""

    def __init__(self, **values: Value) -> None:
        super().__init__()
        self.values_of = values

    def __call__(self, path: str, domain: Domain) -> Value:
        assert path not in self, f"asked twice: {path}"
        self[path] = domain
        assert domain.default is not None
        return self.values_of.get(path.rpartition("=")[2].partition("/")[2] or path, domain.default)


def built(name: str, hp=None, shape=SHAPE, **limits) -> BuiltArchitecture:
    hp = DrawnHyperParameters(Asked()) if hp is None else hp
    return Space.parse(f"{HERE}:{name}").build(hp, shape, CLASSES, **limits)


def probabilities(model: keras.Model) -> np.ndarray:
    images = np.random.default_rng(0).random((4, *SHAPE), dtype="float32")
    return keras.ops.convert_to_numpy(model(images))


def test_a_hypermodel_draws_every_kind_of_hyperparameter_under_its_conditions() -> None:
    asked = Asked(blocks=2)
    built("build", DrawnHyperParameters(asked), max_parameters=10**6)
    assert asked == {
        "blocks": Integer(1, 2, default=1),
        "block_0/kernels": Integer(4, 16, 4, default=4),
        "block_0/size": Categorical((1, 3), 1),
        "block_0/pool": Categorical((True, False), False),
        "block_1/kernels": Integer(4, 16, 4, default=4),
        "block_1/size": Categorical((1, 3), 1),
        "block_1/pool": Categorical((True, False), False),
        "activation": Categorical(("relu", "tanh"), "relu"),
        "top": Categorical(("flatten", "average"), "flatten"),
        "top=flatten/units": Categorical((8, 16, 32, 64), 8),
        "top=flatten/dropout": Real(0.0, 0.4, 0.1, default=0.0),
        "optimizer": Categorical(("sgd", "adam", "rmsprop"), "sgd"),
        "learning_rate": Real(1e-4, 1e-1, log=True, default=1e-2),
    }


def test_the_same_name_in_another_branch_has_its_own_path() -> None:
    asked = Asked(top="average")
    drawn = built("build", DrawnHyperParameters(asked))
    assert asked["top=average/units"] == Categorical((5, 6, 7), 5)
    assert drawn.architecture["units"] == 5
    assert "dropout" not in drawn.architecture


def test_what_a_hypermodel_drew_is_rebuilt_alike() -> None:
    space = Space.parse(f"{HERE}:build")
    drawn = space.build(DrawnHyperParameters(Asked(blocks=2, optimizer="adam")), SHAPE, CLASSES)
    again = space.rebuild(drawn.family, drawn.architecture, SHAPE, CLASSES)
    assert (again.architecture, again.parameters, again.macs) == (
        drawn.architecture,
        drawn.parameters,
        drawn.macs,
    )
    assert again.training == drawn.training == {"optimizer": "adam", "learning_rate": 0.01}


def test_a_stored_architecture_that_no_longer_fits_is_a_users_mistake() -> None:
    with pytest.raises(UserError, match=r"asks for 'blocks', which the stored architecture lacks"):
        Space.parse(f"{HERE}:build").rebuild(f"{HERE}:build", {}, SHAPE, CLASSES)


def test_a_label_has_the_first_values_and_tells_all_of_them_apart() -> None:
    """Tables and figures have room for a line, hypermodels may draw fifty values."""
    many = {f"kernels_of_the_stage_{n}": 64 for n in range(9)}
    labels = {_label("networks:build", {**many, "last": last}) for last in range(20)}
    assert len(labels) == 20
    assert len({label[: len("build 012345")] for label in labels}) == 20  # a figure shows their beginnings
    assert all(len(label) <= 72 and " kernels_of_the_stage_0=64, " in label for label in labels)
    assert _label("networks:build", {"stages": 3, "width": 8}) == "build stages=3, width=8"
    assert _label("networks:build", {"dropout": 3 * 0.1, "rate": 1e-4}) == "build dropout=0.3, rate=0.0001"


def test_a_hypermodel_is_an_arm_beside_families() -> None:
    name = f"{HERE}:build"
    space = Space.parse(["plain_cnn", name])
    asked = Asked(family=name)
    drawn = space.build(DrawnHyperParameters(asked), SHAPE, CLASSES)
    assert f"family={name}/blocks" in asked
    assert (drawn.family, "family" in drawn.architecture) == (name, False)
    assert space.rebuild(name, drawn.architecture, SHAPE, CLASSES).parameters == drawn.parameters


def test_bytes_and_logits_are_adapted() -> None:
    drawn = built("logits_of_bytes", max_parameters=10**6)
    assert drawn.training == {}
    assert drawn.model.output.dtype == "float32"
    assert np.allclose(probabilities(drawn.model).sum(axis=1), 1, atol=1e-6)
    images = np.random.default_rng(0).random((4, *SHAPE), dtype="float32")
    inner = next(layer for layer in drawn.model.layers if isinstance(layer, keras.Model))
    expected = keras.ops.softmax(inner(images * 255))
    assert np.allclose(probabilities(drawn.model), keras.ops.convert_to_numpy(expected), atol=1e-6)


@pytest.mark.parametrize("name", ["averaged_logits", "logits_that_add_up_to_1_on_noise", "subclassed_logits"])
def test_logits_get_a_softmax_whatever_layer_they_come_from(name: str) -> None:
    model = built(name).model
    inner = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    images = np.random.default_rng(0).random((4, *SHAPE), dtype="float32")
    expected = keras.ops.convert_to_numpy(keras.ops.softmax(inner(images)))
    assert np.allclose(probabilities(model), expected, atol=1e-6)


def test_fresh_logits_never_pass_for_probabilities() -> None:
    for seed in range(10):
        keras.utils.set_random_seed(seed)
        assert np.allclose(probabilities(built("averaged_logits").model).sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_probabilities_get_no_second_softmax(policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        model = built("as_the_guide_to_mixed_precision_ends").model
    finally:
        keras.config.set_dtype_policy("float32")
    ends = [layer.activation for layer in model.layers if isinstance(layer, keras.layers.Activation)]
    assert ends == [keras.activations.softmax, keras.activations.linear]


def test_sigmoids_are_divided_by_their_sum() -> None:
    """As Keras' cross-entropy does in training: losses and calibration are of numbers that add up to 1."""
    model = built("sigmoids").model
    inner = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    images = np.random.default_rng(0).random((4, *SHAPE), dtype="float32")
    sigmoids = keras.ops.convert_to_numpy(inner(images))
    assert inner.layers[-1].activation is keras.activations.sigmoid
    assert np.allclose(probabilities(model), sigmoids / sigmoids.sum(axis=1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("name", ["in_lists", "in_dicts"])
def test_one_input_and_one_output_may_be_in_a_list_or_a_dict(name: str) -> None:
    model = built(name, max_parameters=10**4).model
    images = keras.Input(SHAPE)
    assert model(images).shape == (None, CLASSES)
    assert probabilities(model).shape == (4, CLASSES)


def test_what_fit_decides_of_the_optimizer_is_honoured() -> None:
    drawn = built("CompilesInFit")
    assert (drawn.architecture, drawn.training) == (
        {"rate": 0.02},
        {"optimizer": "adam", "learning_rate": 0.02},
    )
    assert built("SetsTheRateInFit").training["learning_rate"] == 0.02


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])  # 16 bits wrap optimizers
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_of_a_recipe_is_honoured_by_its_name(optimizer: str, policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        drawn = built("by_name", DrawnHyperParameters(Asked(optimizer=optimizer)))
    finally:
        keras.config.set_dtype_policy("float32")
    assert drawn.training["optimizer"] == optimizer


def test_an_optimizer_that_no_recipe_has_is_refused() -> None:
    with pytest.raises(UserError, match=r"optimizer Adagrad, which no recipe has: .* adam, adamw, nad"):
        built("by_name", DrawnHyperParameters(Asked(optimizer="adagrad")))


def test_a_model_for_images_of_any_size_is_counted_for_these() -> None:
    macs = 9 * 4 * 16**2 + 4 * CLASSES
    assert built("any_size").macs == macs
    with pytest.raises(InfeasibleArchitecture, match="multiply-adds") as caught:
        built("any_size", max_macs=macs - 1)
    assert caught.value.macs == macs


def test_a_fit_of_ones_own_draws_and_decides_about_training() -> None:
    asked = Asked(batch_size=32, epochs=4, shuffle=False)
    drawn = built("OwnFit", DrawnHyperParameters(asked))
    assert set(asked) == {"batch_size", "epochs", "shuffle"}
    assert drawn.architecture == {"batch_size": 32, "epochs": 4, "shuffle": False}
    assert drawn.training == {
        "optimizer": "sgd", "learning_rate": 0.05, "momentum": 0.8,
        "batch_size": 32, "epochs": 4, "shuffle": False,
    }  # fmt: skip
    assert drawn.model.fit.__func__ is keras.Model.fit


def test_a_fit_of_ones_own_may_look_at_everything() -> None:
    assert built("LooksInFit").training["optimizer"] == "sgd"


def test_an_instance_is_taken_as_it_is() -> None:
    assert built("tuned").training["momentum"] == 0.8


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ChangesImages", r"changes x, which cannot be honoured: prepare images in build\(hp\)"),
        ("ScalesImagesInPlace", "changes x, which cannot be honoured"),
        ("SmoothsLabelsInPlace", "changes y, which cannot be honoured"),
        ("AddsACallbackInPlace", "changes callbacks, which cannot be honoured"),
        ("AdaptsInFit", r"changes the network's weights .* Do that in build\(hp\)"),
        ("SetsWeightsInFit", "changes the network's weights"),
        ("OwnLoop", r"must call model.fit once"),
        ("own_step", "OwnStep has a train_step of its own, which cannot be honoured"),
        ("own_loss", "OwnLoss has a compute_loss of its own"),
        ("own_loop_of_model", "OwnLoopOfModel has a fit of its own"),
        ("decays", r"changes by itself \(CosineDecay\)"),
        ("adam_with_options", "Adam with clipnorm 1.0, beta_1 0.85, which cannot be honoured"),
        ("sgd_with_an_average", "SGD with use_ema True, which cannot be honoured"),
        ("rmsprop_with_momentum", "RMSprop with momentum 0.9, which cannot be honoured"),
        ("two_outputs", "has 2 outputs, expected one"),
        ("two_inputs", "has 2 inputs, expected one"),
        ("one_sigmoid", r"gives \(1,\) .* sigmoid unit, end in Dense\(3, activation=\"softmax\"\)"),
        ("not_a_hypermodel", "neither a function nor a Keras Tuner HyperModel"),
        ("OwnModel", "cannot be made"),
        ("not_a_model", "must return a Keras model"),
        ("bild", "did you mean 'build'"),
    ],
)
def test_what_cannot_be_honoured_is_refused(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        built(name)


def test_a_module_that_is_not_there_is_a_users_mistake() -> None:
    with pytest.raises(UserError, match=r"There is no module 'no_such.module'"):
        Space.parse("no_such.module:build").build(DrawnHyperParameters(Asked()), SHAPE, CLASSES)


def test_images_of_another_size_or_number_of_classes_are_a_users_mistake() -> None:
    with pytest.raises(
        UserError, match=r"takes images of shape \(16, 16, 1\), the data set's are \(32, 32, 1\)"
    ):
        built("build", shape=(32, 32, 1))
    with pytest.raises(UserError, match=r"gives \(3,\) numbers for an image, expected \(7,\)"):
        Space.parse(f"{HERE}:build").build(DrawnHyperParameters(Asked()), SHAPE, 7)


@pytest.mark.parametrize(("name", "reason"), [("too_deep", "negative"), ("gives_up", "too slow")])
def test_what_cannot_be_built_is_infeasible(name: str, reason: str) -> None:
    with pytest.raises(InfeasibleArchitecture, match=reason) as caught:
        built(name)
    assert caught.value.violation > 0


@pytest.mark.parametrize(
    ("name", "cause", "code"),
    [
        ("wrong_reshape", "ValueError: .*total size of the tensor must be unchanged", r"Reshape\(\(7, 7\)\)"),
        ("talks_of_sizes", "ValueError: Computed output size would be negative", "raise ValueError"),
        ("log_from_zero", "ValueError: .*does not support negative", r'hp\.Float\("rate"'),
        (
            "a_chain_of_causes",
            "RuntimeError: no such size, caused by KeyError: 'large'",
            "raise RuntimeError",
        ),
    ],
)
def test_an_error_of_its_own_code_keeps_cause_file_and_line(name: str, cause: str, code: str) -> None:
    """In one line, and not taken for a candidate that is too large."""
    with pytest.raises(HypermodelError, match=cause) as caught:
        built(name)
    assert re.search(rf"hypermodels_of_others\.py, line \d+: .*{code}", str(caught.value))
    assert "\n" not in str(caught.value)


def test_a_hypermodel_that_compiles_is_counted_before_any_weight_is_allocated() -> None:
    """257 billion weights: a terabyte."""
    with pytest.raises(InfeasibleArchitecture) as caught:
        built("enormous", max_parameters=1_000_000)
    assert caught.value.parameters == 257 * 10**9 + 3 * (10**9 + 1)


def test_a_hypermodel_that_computes_while_it_builds_is_counted_afterwards() -> None:
    assert built("adapts", max_parameters=10**4).parameters == 3 + 257 * 2 + 3 * 3
    with pytest.raises(InfeasibleArchitecture):
        built("adapts", max_parameters=100)


def test_a_model_class_of_ones_own_is_counted_inside() -> None:
    drawn = built("subclassed", max_parameters=10**4)
    assert (drawn.parameters, drawn.macs) == (10 * 2 + 3 * 3, 9 * 2 * 14**2 + 2 * 3)
    assert probabilities(drawn.model).shape == (4, CLASSES)


def test_a_hypermodel_that_is_not_tunable_takes_defaults_unless_told_otherwise() -> None:
    asked = Asked()
    assert built("Outer", DrawnHyperParameters(asked)).parameters == 257 * 5 + 6 * 3
    assert asked == {}
    fixed = built("Outer", DrawnHyperParameters(asked, {"inner_units": 7}))
    assert (fixed.parameters, fixed.architecture) == (257 * 7 + 8 * 3, {"inner_units": 7})
    narrowed = {"inner_units": Integer(2, 3, default=3)}
    searched = built("Outer", DrawnHyperParameters(asked, domains=narrowed), max_parameters=10**6)
    assert (searched.architecture, asked) == ({"inner_units": 3}, narrowed)
    again = Space.parse(f"{HERE}:Outer").rebuild(f"{HERE}:Outer", searched.architecture, SHAPE, CLASSES)
    assert again.parameters == searched.parameters


@pytest.mark.parametrize("name", ["HyperResNet", "HyperXception"])
@pytest.mark.slow
def test_keras_tuners_own_applications_are_spaces(name: str) -> None:
    space = Space.parse(f"keras_tuner.applications:{name}")
    asked = Asked(num_residual_blocks=2, sep_num_filters=128)
    drawn = space.build(DrawnHyperParameters(asked), (32, 32, 1), 7, max_parameters=10**9)
    assert "learning_rate" in asked
    assert drawn.training["learning_rate"] == drawn.architecture["learning_rate"]
    assert drawn.model.output_shape == (None, 7)


@pytest.mark.slow
def test_keras_tuners_efficientnet_is_a_space(monkeypatch) -> None:
    """Its weights would be fetched: here its backbone is the same without them."""
    from functools import partial

    from keras_tuner.src.applications import efficientnet

    offline = partial(keras.applications.EfficientNetB0, weights=None)
    monkeypatch.setitem(efficientnet.EFFICIENTNET_MODELS, "B0", offline)
    monkeypatch.setitem(efficientnet.EFFICIENTNET_IMG_SIZE, "B0", 32)
    space = Space.parse("keras_tuner.applications:HyperEfficientNet")
    drawn = space.build(DrawnHyperParameters(Asked()), (32, 32, 3), 7)
    assert drawn.training == {"optimizer": "sgd", "learning_rate": 0.01, "momentum": 0.1}
    assert drawn.parameters == 4_049_571 + 1281 * 7


@pytest.mark.parametrize("name", family_names())
def test_both_sides_see_the_same_domains_and_draw_the_same_architectures(name: str) -> None:
    family = load_family(name)
    tuners = keras_tuner.HyperParameters()
    family.sample(tuners)
    for hyperparameter in tuners.space:  # a random candidate of Keras Tuner's ...
        tuners.values[hyperparameter.name] = hyperparameter.random_sample(seed=1)
    theirs = family.sample(tuners)
    declared = {p.name: p for p in tuners.space}
    assert family.sample(DrawnHyperParameters(Asked(), fixed=tuners.values)) == theirs  # ... is the same here
    asked = Asked(**tuners.values)
    ours = family.sample(DrawnHyperParameters(asked))
    assert ours == theirs
    constants = {n for n, p in declared.items() if type(p) is keras_tuner.engine.hyperparameters.Fixed}
    assert asked == {path_of(declared[n]): domain_of(declared[n]) for n in asked}
    assert set(asked) | constants == {n for n in declared if n in tuners.values and n in (*asked, *constants)}


@pytest.mark.trains
@pytest.mark.parametrize("tuner", ["RandomSearch", "Hyperband", "BayesianOptimization"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.slow
def test_keras_tuners_own_tuners_search_a_family(tuner: str, tmp_path, monkeypatch) -> None:
    # With TensorFlow, Keras Tuner imports tensorboard, undeclared, for callbacks that are not used here.
    monkeypatch.setattr(keras_tuner.Tuner, "_configure_tensorboard_dir", lambda *_: None)
    options = {"max_epochs": 2, "hyperband_iterations": 1} if tuner == "Hyperband" else {"max_trials": 2}
    hypermodel = FamilyHyperModel(load_family("lenet"), (32, 32, 1), 3)
    search = getattr(keras_tuner, tuner)(
        hypermodel, objective="val_loss", directory=tmp_path, project_name="lenet", seed=1, **options
    )
    images = np.random.default_rng(0).random((6, 32, 32, 1), dtype="float32")
    labels = np.arange(6) % 3
    search.search(images, labels, validation_data=(images, labels), epochs=1, verbose=0)
    assert {trial.status for trial in search.oracle.trials.values()} == {"COMPLETED"}
    best = search.get_best_hyperparameters()[0]
    again = load_family("lenet").sample(DrawnHyperParameters(Asked(), fixed=best.values))
    assert again == load_family("lenet").sample(best)


@pytest.mark.trains
def test_what_cannot_be_built_fails_a_trial_of_keras_tuners() -> None:
    hypermodel = FamilyHyperModel(load_family("vgg"), (8, 8, 1), 3)
    with pytest.raises(keras_tuner.errors.FailedTrialError, match="4 poolings need images of at least 16"):
        hypermodel.build(keras_tuner.HyperParameters())
