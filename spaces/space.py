"""A space to search: one family, one fixed variant, or a choice among several of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spaces.counting import Counts, count, count_before_building
from spaces.errors import UserError
from spaces.family import Family, InfeasibleArchitecture, Shape, fingerprint, load_family, nearest

if TYPE_CHECKING:
    import keras
    import keras_tuner


@dataclass(frozen=True)
class Realised:
    """One architecture, built: images (n, height, width, channels) in [0, 1] to float32 probabilities."""

    family: str
    variant: str
    architecture: dict[str, Any]
    label: str
    facts: dict[str, int | str]
    model: "keras.Model"
    parameters: int
    macs: int

    @property
    def fingerprint(self) -> str:
        """12 hex digits, equal for equal architectures of one family and for no others."""
        return fingerprint({"family": self.family, "architecture": self.architecture})


@dataclass(frozen=True)
class Limits:
    """What a network may have at most; None is no limit."""

    parameters: int | None = None
    macs: int | None = None

    def check(self, counts: Counts) -> None:
        """Raises InfeasibleArchitecture for what is above a limit."""
        over = [
            (value / limit - 1, f"{value:,} {what}, the budget is {limit:,}")
            for what, value, limit in (
                ("parameters", counts.parameters, self.parameters),
                ("multiply-adds", counts.macs, self.macs),
            )
            if limit is not None and value > limit
        ]
        if over:
            reason = "; ".join(text for _, text in over)
            raise InfeasibleArchitecture(
                reason, violation=max(over)[0], parameters=counts.parameters, macs=counts.macs
            )


@dataclass(frozen=True)
class FamilyArm:
    """A family, or one fixed architecture of it."""

    name: str
    family: Family
    fixed: Any = None

    def realise(
        self, hp: "keras_tuner.HyperParameters", input_shape: Shape, num_classes: int, limits: Limits
    ) -> Realised:
        """Draws an architecture and builds it."""
        architecture = self.family.sample(hp) if self.fixed is None else self.fixed
        return self._built(architecture, input_shape, num_classes, limits)

    def rebuild(self, architecture: Mapping[str, Any], input_shape: Shape, num_classes: int) -> Realised:
        """Builds an architecture that is known."""
        return self._built(self.family.from_dict(architecture), input_shape, num_classes, Limits())

    def _built(self, architecture: Any, input_shape: Shape, num_classes: int, limits: Limits) -> Realised:
        family = self.family
        model, counts = build_within(lambda: family.build(architecture, input_shape, num_classes), limits)
        return Realised(
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
class Space:
    """What a study searches: its arms, each a family, a variant or a Keras Tuner hypermodel."""

    arms: tuple[FamilyArm, ...]

    @classmethod
    def parse(cls, spec: str | Sequence[str]) -> "Space":
        """Reads "plain_cnn", "plain_cnn.published_5" or a list of such.

        Raises:
            UserError: for a family or variant that does not exist, or a list that names one arm twice.
        """
        names = [spec] if isinstance(spec, str) else list(spec)
        if not names or len(set(names)) < len(names):
            raise UserError(f"A space names one or more families, each once. Received: {names}.")
        return cls(tuple(_arm(name) for name in names))

    @property
    def families(self) -> tuple[str, ...]:
        """The names of the arms."""
        return tuple(arm.name for arm in self.arms)

    def realise(
        self,
        hp: "keras_tuner.HyperParameters",
        input_shape: Shape,
        num_classes: int,
        *,
        max_parameters: int | None = None,
        max_macs: int | None = None,
    ) -> Realised:
        """Draws a candidate from `hp` and builds it; with several arms, the first choice is called "family".

        Raises:
            InfeasibleArchitecture: before any weight is allocated.
        """
        limits = Limits(max_parameters, max_macs)
        if len(self.arms) == 1:
            return self.arms[0].realise(hp, input_shape, num_classes, limits)
        name = hp.Choice("family", list(self.families))
        with hp.conditional_scope("family", [name]):
            return self._arm(name).realise(hp, input_shape, num_classes, limits)

    def rebuild(
        self, family: str, architecture: Mapping[str, Any], input_shape: Shape, num_classes: int
    ) -> Realised:
        """Builds a known architecture of a family, whether the space has that family or not."""
        return _arm(family).rebuild(architecture, input_shape, num_classes)

    def _arm(self, name: str) -> FamilyArm:
        return next(arm for arm in self.arms if arm.name == name)


def build_within(build: Callable[[], "keras.Model"], limits: Limits) -> tuple["keras.Model", Counts]:
    """Counts first, and builds only what the limits allow."""
    if limits == Limits():
        model = build()
        return model, count(model)
    counts = count_before_building(build)
    limits.check(counts)
    return build(), counts


def _arm(spec: str) -> FamilyArm:
    name, _, variant = spec.partition(".")
    family = load_family(name)
    if not variant:
        return FamilyArm(spec, family)
    if variant not in family.variants:
        raise UserError(f"{name} has no variant {variant!r}: {nearest(variant, family.variants)}.")
    return FamilyArm(spec, family, family.variants[variant])
