"""A space to search: one family, one fixed variant, or a choice among several of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spaces.counting import Counts, count, count_before_building
from spaces.domains import Domain, Value
from spaces.errors import InfeasibleArchitecture, UserError
from spaces.family import Family, fingerprint, load_family, nearest
from spaces.shapes import Shape
from spaces.user_code import checked

if TYPE_CHECKING:
    import keras
    import keras_tuner

_LONGEST_LABEL = 72  # of a hypermodel's architecture, in letters


@dataclass(frozen=True)
class BuiltArchitecture:
    """One architecture, built: images (n, height, width, channels) in [0, 1] to float32 probabilities.

    `training`: what a hypermodel decides of its own training, in the words of a recipe: optimizer,
    learning_rate, momentum, weight_decay, batch_size; and epochs and shuffle. Families leave it empty.
    """

    family: str
    variant: str
    architecture: dict[str, Any]
    label: str
    facts: dict[str, int | str]
    model: "keras.Model"
    parameters: int
    macs: int
    training: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SizeLimits:
    """What a network may have at most; None is no limit.

    Attributes:
        parameters: The largest number of parameters.
        macs: The largest number of multiply-adds to predict one image.
        views: How many views of an image the network predicts; each costs its multiply-adds.
    """

    parameters: int | None = None
    macs: int | None = None
    views: int = 1

    def check(self, counts: Counts) -> None:
        """Refuse what exceeds a limit.

        Args:
            counts: Parameters and multiply-adds.

        Raises:
            InfeasibleArchitecture: If one of them exceeds its limit.
        """
        macs = counts.macs * self.views
        over = [
            (value / limit - 1, f"{value:,} {what}, the budget is {limit:,}")
            for what, value, limit in (
                ("parameters", counts.parameters, self.parameters),
                ("multiply-adds", macs, self.macs),
            )
            if limit is not None and value > limit
        ]
        if over:
            reason = "; ".join(text for _, text in over)
            raise InfeasibleArchitecture(
                reason, violation=max(over)[0], parameters=counts.parameters, macs=macs
            )


class Arm(ABC):
    """What can be drawn and built: a family, one fixed architecture, or a hypermodel."""

    name: str

    @abstractmethod
    def build(
        self, hp: "keras_tuner.HyperParameters", input_shape: Shape, num_classes: int, limits: SizeLimits
    ) -> BuiltArchitecture:
        """Draw an architecture and build it.

        Args:
            hp: The hyperparameters to draw from.
            input_shape: Height, width and channels of the images.
            num_classes: The number of classes.
            limits: The largest size that is allowed.

        Raises:
            InfeasibleArchitecture: If it cannot be built or exceeds a limit.
            UserError: If a hypermodel does not fit the images or the protocol.
        """

    @abstractmethod
    def rebuild(
        self, architecture: Mapping[str, Any], input_shape: Shape, num_classes: int
    ) -> BuiltArchitecture:
        """Build an architecture that is known.

        Args:
            architecture: Values by the name of the field, or of a hypermodel's hyperparameter.
            input_shape: Height, width and channels of the images.
            num_classes: The number of classes.

        Raises:
            UserError: If a hypermodel asks for a value that is not there: it has changed.
        """


@dataclass(frozen=True)
class FamilyArm(Arm):
    """A family, or one fixed architecture of it."""

    name: str
    family: Family
    fixed: Any = None

    def build(
        self, hp: "keras_tuner.HyperParameters", input_shape: Shape, num_classes: int, limits: SizeLimits
    ) -> BuiltArchitecture:
        """See Arm."""
        if self.fixed is not None:
            return self._built(self.fixed, input_shape, num_classes, limits)
        drawn = self.family.to_dict(self.family.sample(hp))
        return self._built(self.family.from_dict(drawn), input_shape, num_classes, limits)

    def rebuild(
        self, architecture: Mapping[str, Any], input_shape: Shape, num_classes: int
    ) -> BuiltArchitecture:
        """See Arm."""
        return self._built(self.family.from_dict(architecture), input_shape, num_classes, SizeLimits())

    def _built(
        self, architecture: Any, input_shape: Shape, num_classes: int, limits: SizeLimits
    ) -> BuiltArchitecture:
        family = self.family
        model, counts = build_within(lambda: family.build(architecture, input_shape, num_classes), limits)
        return BuiltArchitecture(
            family=family.name,
            variant=family.variant_of(architecture),
            architecture=family.to_dict(architecture),
            label=family.label(architecture),
            facts=family.facts(architecture),
            model=model,
            parameters=counts.parameters,
            macs=counts.macs,
        )


@dataclass(frozen=True)
class HyperModelArm(Arm):
    """A Keras Tuner hypermodel, imported when first built; what it drew is its architecture."""

    name: str

    def build(
        self, hp: "keras_tuner.HyperParameters", input_shape: Shape, num_classes: int, limits: SizeLimits
    ) -> BuiltArchitecture:
        """See Arm. Counts first, unless the hypermodel computes while it builds."""
        from spaces.keras_tuner import hypermodels, training_config

        hypermodel = hypermodels.load_hypermodel(self.name, input_shape, num_classes)
        model, counts = build_within(
            lambda: hypermodels.built(hypermodel, hp, input_shape, num_classes),
            limits,
            computes=True,
            image_shape=input_shape,
        )
        training = training_config.training_of(hypermodel, hp, model, input_shape)
        values = getattr(hp, "drawn", hp.values)
        drawn = {name: value for name, value in values.items() if (name, value) != ("family", self.name)}
        return BuiltArchitecture(
            family=self.name,
            variant="",
            architecture=drawn,
            label=_label(self.name, drawn),
            facts={},
            model=hypermodels.adapted(model, input_shape),
            parameters=counts.parameters,
            macs=counts.macs,
            training=training,
        )

    def rebuild(
        self, architecture: Mapping[str, Any], input_shape: Shape, num_classes: int
    ) -> BuiltArchitecture:
        """See Arm."""
        from spaces.keras_tuner.hyperparameters import DrawnHyperParameters

        def unknown(path: str, _: Domain) -> Value:
            raise UserError(
                f"{self.name} asks for {path!r}, which the stored architecture lacks: it has changed."
            )

        hp = DrawnHyperParameters(unknown, fixed=architecture)
        return self.build(hp, input_shape, num_classes, SizeLimits())


@dataclass(frozen=True)
class Space:
    """What a study searches: its arms, each a family, a variant or a Keras Tuner hypermodel."""

    arms: tuple[Arm, ...]

    @classmethod
    def parse(cls, spec: str | Sequence[str]) -> "Space":
        """Read what a study searches.

        A hypermodel is imported when it is first built, and only then.

        Args:
            spec: "plain_cnn", "plain_cnn.published_5", "package.module:build" or a list of such.

        Raises:
            UserError: For a family or variant that does not exist, or a list that names one arm twice.
        """
        names = [spec] if isinstance(spec, str) else list(spec)
        if not names or len(set(names)) < len(names):
            raise UserError(f"A space names one or more families, each once. Received: {names}.")
        return cls(tuple(_arm(name) for name in names))

    @property
    def families(self) -> tuple[str, ...]:
        """The names of the arms."""
        return tuple(arm.name for arm in self.arms)

    def build(
        self,
        hp: "keras_tuner.HyperParameters",
        input_shape: Shape,
        num_classes: int,
        *,
        max_parameters: int | None = None,
        max_macs: int | None = None,
        views: int = 1,
    ) -> BuiltArchitecture:
        """Draw a candidate and build it. With several arms, the first choice is called "family".

        Args:
            hp: The hyperparameters to draw from.
            input_shape: Height, width and channels of the images.
            num_classes: The number of classes.
            max_parameters: The largest number of parameters; None for no limit.
            max_macs: The largest number of multiply-adds for one image; None for no limit.
            views: How many views of an image the network predicts; each costs its multiply-adds.

        Returns:
            The architecture with its model; its multiply-adds are those of one view.

        Raises:
            InfeasibleArchitecture: If it cannot be built or exceeds a limit; no weight is allocated.
        """
        limits = SizeLimits(max_parameters, max_macs, views)
        if len(self.arms) == 1:
            return self.arms[0].build(hp, input_shape, num_classes, limits)
        name = hp.Choice("family", list(self.families))
        with hp.conditional_scope("family", [name]):
            return self._arm(name).build(hp, input_shape, num_classes, limits)

    def rebuild(
        self, family: str, architecture: Mapping[str, Any], input_shape: Shape, num_classes: int
    ) -> BuiltArchitecture:
        """Build a known architecture of a family, whether the space has that family or not.

        Args:
            family: A family, a variant or a hypermodel.
            architecture: Values by name, as they were drawn.
            input_shape: Height, width and channels of the images.
            num_classes: The number of classes.
        """
        return _arm(family).rebuild(architecture, input_shape, num_classes)

    def _arm(self, name: str) -> Arm:
        return next(arm for arm in self.arms if arm.name == name)


def build_within(
    build: Callable[[], "keras.Model"],
    limits: SizeLimits,
    *,
    computes: bool = False,
    image_shape: Shape | None = None,
) -> tuple["keras.Model", Counts]:
    """Counts first, and builds only what the limits allow.

    Args:
        build: makes the network.
        limits: what it may have.
        computes: whether `build` is somebody's own, which may need real weights (to adapt a layer to images):
            where counting first fails for that, what it built is counted.
        image_shape: what it is counted for, should it take images of any size.
    """
    if limits.parameters is not None or limits.macs is not None:
        try:
            limits.check(count_before_building(build, image_shape))
        except (InfeasibleArchitecture, UserError):
            raise
        except Exception:
            if not computes:
                raise
    model = build()
    counts = count(model, image_shape)
    limits.check(counts)
    return model, counts


def _label(name: str, drawn: Mapping[str, Any]) -> str:
    """What a hypermodel drew, in a line; if it does not fit, six digits in front tell all of it apart."""
    called, values = name.rpartition(":")[2], [f"{key}={_shown(value)}" for key, value in drawn.items()]
    label = f"{called} {', '.join(values)}"
    while values and len(label) > _LONGEST_LABEL:
        values.pop()
        label = f"{called} {fingerprint(drawn)[:6]} {', '.join(values)} ..."
    return label


def _shown(value: Value) -> Value:
    """A number as people write it: 0.3 for the third step of 0.1, which is 0.30000000000000004."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _arm(spec: str) -> Arm:
    if ":" in spec:
        return HyperModelArm(checked(spec))
    name, _, variant = spec.partition(".")
    family = load_family(name)
    if not variant:
        return FamilyArm(spec, family)
    if variant not in family.variants:
        raise UserError(f"{name} has no variant {variant!r}: {nearest(variant, family.variants)}.")
    return FamilyArm(spec, family, family.variants[variant])
