"""How a network is trained: everything about a candidate that is not its architecture."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

from search.training.augmentation import AUGMENTATIONS, Augmentation, check_known
from spaces.errors import UserError

OPTIMIZERS: Final = ("adam", "adamw", "nadam", "rmsprop", "sgd")
SCHEDULES: Final = ("plateau", "cosine", "constant", "one_cycle")
FLIPS: Final = ("augmentation", "none", "random", "alternating")
#: How many views of an image the network predicts, for each `test_time`.
TEST_TIME_VIEWS: Final = {"none": 1, "flip": 2, "flip_shift": 6}

#: Inclusive limits of every number; outside of them a training is a typing error.
_LIMITS: Final[dict[str, tuple[float, float]]] = {
    "learning_rate": (1e-8, 10.0),
    "momentum": (0.0, 0.9999),
    "weight_decay": (0.0, 1.0),
    "l2": (0.0, 1.0),
    "batch_size": (1, 65536),
    "plateau_factor": (0.01, 0.99),
    "plateau_patience": (1, 1000),
    "min_learning_rate": (0.0, 10.0),
    "label_smoothing": (0.0, 0.9),
    "augmentation_ramp": (0, 1000),
    "warmup_epochs": (0, 1000),
    "warmup_share": (0.0, 0.9),
    "weight_average": (0.0, 1000.0),
    "mixup": (0.0, 10.0),
    "cutmix": (0.0, 10.0),
}
#: Fields that were added later: left out of `to_dict` at their default, so that fingerprints stay.
_ADDED: Final = ("warmup_epochs", "warmup_share", "weight_average", "mixup", "cutmix", "flip", "test_time")


@dataclass(frozen=True)
class Recipe:
    """How a candidate is trained.

    Attributes:
        optimizer: one of `OPTIMIZERS`; "sgd" with Nesterov's momentum. "adamw" is Adam under the name that
            people look for, since every optimizer here takes `weight_decay`.
        learning_rate: that of the first epoch.
        momentum: of sgd; the others ignore it.
        weight_decay: decoupled: before each step kernels shrink by learning rate times this.
        l2: penalty on kernels, added to the training loss: l2 times the sum of squares.
        batch_size: images per gradient step.
        schedule: "plateau" multiplies the rate by `plateau_factor` after `plateau_patience` epochs with
            neither a better monitor score nor a lower loss, "cosine" goes from the first rate to the smallest
            over all epochs, "one_cycle" rises in a line to `learning_rate` and falls in a line to the
            smallest (Smith and Topin, Super-Convergence, 2019).
        min_learning_rate: no schedule goes below it (nor above the first rate).
        label_smoothing: share of each target that is spread evenly over all classes.
        standardize: shift and scale each image to mean 0 and deviation 1, inside the model: light and
            contrast no longer matter, and training without batch norm begins much sooner.
        class_weights: weigh every class alike, however rare: n / (classes * n_class).
        augmentation: see `Augmentation`; in files the name of a preset or a table.
        augmentation_ramp: epochs in which augmentation grows from nothing to its whole strength; 0: it has
            that from the first. What is not varied is learnt sooner, and only later learnt by heart (Tan and
            Le, EfficientNetV2, 2021, section 4).
        warmup_epochs: epochs in which the rate rises in a line to `learning_rate`, for every schedule but
            "one_cycle" (Goyal et al., Accurate, Large Minibatch SGD, 2017, section 2.2).
        warmup_share: of "one_cycle": the share of all epochs in which the rate rises.
        weight_average: half-life, in epochs, of an exponential moving average of the weights; 0: none. See
            `search.training.weight_average`.
        mixup: alpha of mixup; 0: none. See `search.training.mixing`.
        cutmix: alpha of CutMix; 0: none. With both, each batch draws one of the two.
        flip: "augmentation" mirrors as `augmentation` says; the others replace that: "none", "random" half of
            the images, "alternating" each image in every other epoch.
        test_time: one of `TEST_TIME_VIEWS`: the saved model averages its probabilities over the image,
            "flip" its mirror image, and "flip_shift" both shifted along a diagonal to either side.

    Raises:
        UserError: for a value outside of its limits.
    """

    optimizer: str = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.0
    l2: float = 0.0
    batch_size: int = 128
    schedule: str = "plateau"
    plateau_factor: float = 0.5
    plateau_patience: int = 3
    min_learning_rate: float = 1e-5
    label_smoothing: float = 0.0
    standardize: bool = False
    class_weights: bool = False
    augmentation: Augmentation = AUGMENTATIONS["none"]
    augmentation_ramp: int = 0
    warmup_epochs: int = 0
    warmup_share: float = 0.2
    weight_average: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    flip: str = "augmentation"
    test_time: str = "none"

    def __post_init__(self) -> None:
        check_known("optimizer", [self.optimizer], list(OPTIMIZERS))
        check_known("schedule", [self.schedule], list(SCHEDULES))
        check_known("flip", [self.flip], list(FLIPS))
        check_known("test_time", [self.test_time], list(TEST_TIME_VIEWS))
        for name in ("standardize", "class_weights"):
            if not isinstance(getattr(self, name), bool):
                raise UserError(f"recipe.{name} is {getattr(self, name)!r}: write true or false")
        if not isinstance(self.augmentation, Augmentation):
            raise UserError(f"recipe.augmentation is {self.augmentation!r}: read it with Recipe.from_dict")
        for field in fields(self):
            if field.name in _LIMITS:
                self._set_number(field.name, whole=field.type is int)

    def _set_number(self, name: str, *, whole: bool) -> None:
        """Check one number; a whole one may stand for a float, as people write `l2 = 0`."""
        value, (low, high) = getattr(self, name), _LIMITS[name]
        kinds = int if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
            kind = "a whole number" if whole else "a number"
            raise UserError(f"recipe.{name} is {value!r}: write {kind} from {low:g} to {high:g}")
        object.__setattr__(self, name, int(value) if whole else float(value))

    @property
    def mixes(self) -> bool:
        """Whether images are trained on that are made of two."""
        return self.mixup > 0 or self.cutmix > 0

    @property
    def layer_augmentation(self) -> Augmentation:
        """What the augmentation layer does: `augmentation`, with `flip` in place of its own mirroring."""
        if self.flip == "augmentation":
            return self.augmentation
        return replace(self.augmentation, flip=self.flip == "random")

    @property
    def views(self) -> int:
        """How often the network is evaluated to predict one image."""
        return TEST_TIME_VIEWS[self.test_time]

    def every_field(self) -> dict[str, Any]:
        """Every field, for JSON; the augmentation by its name where it has one."""
        named = next((name for name, preset in AUGMENTATIONS.items() if preset == self.augmentation), None)
        return {**asdict(self), "augmentation": named or self.augmentation.to_dict()}

    def to_dict(self) -> dict[str, Any]:
        """What identifies the recipe: `every_field` without later additions that have their default."""
        unused = {name for name in _ADDED if getattr(self, name) == _DEFAULTS[name]}
        return {name: value for name, value in self.every_field().items() if name not in unused}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> "Recipe":
        """Read a recipe; what is missing takes its default.

        Raises:
            UserError: for an unknown key (with the nearest known one) or a value outside of its limits.
        """
        check_known("key of recipe", table, [field.name for field in fields(cls)])
        given = dict(table)
        if "augmentation" in given:
            given["augmentation"] = Augmentation.parse(given["augmentation"])
        return cls(**given)


_DEFAULTS: Final = {field.name: field.default for field in fields(Recipe)}
