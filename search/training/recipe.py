"""How a network is trained: everything about a candidate that is not its architecture."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from search.training.augmentation import AUGMENTATIONS, Augmentation, check_known
from spaces.errors import UserError

OPTIMIZERS: Final = ("adam", "adamw", "nadam", "rmsprop", "sgd")
SCHEDULES: Final = ("plateau", "cosine", "constant")

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
}


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
            over all epochs.
        min_learning_rate: no schedule goes below it (nor above the first rate).
        label_smoothing: share of each target that is spread evenly over all classes.
        standardize: shift and scale each image to mean 0 and deviation 1, inside the model: light and
            contrast no longer matter, and training without batch norm begins much sooner.
        class_weights: weigh every class alike, however rare: n / (classes * n_class).
        augmentation: see `Augmentation`; in files the name of a preset or a table.
        augmentation_ramp: epochs in which augmentation grows from nothing to its whole strength; 0: it has
            that from the first. What is not varied is learnt sooner, and only later learnt by heart (Tan and
            Le, EfficientNetV2, 2021, section 4).

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

    def __post_init__(self) -> None:
        check_known("optimizer", [self.optimizer], list(OPTIMIZERS))
        check_known("schedule", [self.schedule], list(SCHEDULES))
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

    def to_dict(self) -> dict[str, Any]:
        """Every field, for JSON; the augmentation by its name where it has one."""
        named = next((name for name, preset in AUGMENTATIONS.items() if preset == self.augmentation), None)
        return {**asdict(self), "augmentation": named or self.augmentation.to_dict()}

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
