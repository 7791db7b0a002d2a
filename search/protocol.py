"""`[protocol]` of an experiment file: how candidates are searched, confirmed and judged.

Declared here and nowhere else. The experiment file embeds it, and the validated object travels down to the
stages: every layer reads the same keys and the same defaults.
"""

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from search.safety.paths import NAME

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]

#: Samplers and pruners that are known by name. `search.study.optuna.samplers` says what each of them is.
SAMPLERS: Final = ("tpe", "random", "grid", "qmc", "cmaes", "nsga2", "gp")
PRUNERS: Final = (
    *("median", "hyperband", "successive_halving", "percentile", "threshold", "patient", "wilcoxon"),
    "none",
)

#: Keys that may grow or change while the study stays the same one. Precision and threads are here because a
#: study records what "auto" became on its machine.
TOTALS: Final = frozenset(
    {
        "trials",
        "seeds",
        "max_seeds",
        "leaders",
        "hours",
        "keep_models",
        "keep_models_mb",
        "final",
        "retries",
        "max_seconds",
        "max_memory_mb",
        "stall_seconds",
        "max_consecutive_failures",
        "precision",
        "threads",
    }
)

#: Seeds of each candidate in the first round, and over all rounds in simulated studies on average.
FIRST_ROUND: Final = 3
TYPICAL_SEEDS: Final = 7

_OWN_CLASS: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def is_own_class(name: str) -> bool:
    """Whether a sampler or pruner is the user's own: "package.module:Class"."""
    return ":" in name


def _known(name: str, known: tuple[str, ...]) -> str:
    if name in known or _OWN_CLASS.fullmatch(name):
        return name
    listed = ", ".join(f'"{one}"' for one in known)
    raise ValueError(f'must be one of {listed}, or a class of your own as "package.module:Class"')


def _without_asha(pruner: object) -> object:
    if pruner == "asha":
        raise ValueError(
            'must name a pruner that exists: "asha" was removed; take "median" (the default), '
            '"successive_halving", "hyperband", "percentile", "patient", "threshold", "wilcoxon" or "none"'
        )
    return pruner


class Section(BaseModel):
    """What all sections of an experiment file have in common: frozen, strict, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Protocol(Section):
    """How candidates are searched, confirmed and judged."""

    objective: Literal["val_accuracy", "macro_f1", "loss"] = "val_accuracy"
    trials: Count = 60  # total of explore
    seeds: Literal["auto"] | Count = "auto"  # of confirm, for each leader or cell; "auto": in rounds
    max_seeds: Annotated[int, Field(ge=FIRST_ROUND)] = 20  # with "auto"
    leaders: Count = 5
    explore_seeds: Count = 1  # of a candidate in explore; their mean ranks it
    explore_images: Count | None = None  # of train, that explore trains on; confirm trains on all
    also_minimize: Literal["parameters", "macs"] | None = None  # a second objective of explore
    epochs: Count = 100
    patience: Count = 5
    hours: Positive | None = None
    max_parameters: Count | None = None
    max_macs: Count | None = None
    leaks: Literal["purge-train", "report", "refuse"] = "purge-train"
    warm_start: Annotated[str, Field(pattern=NAME)] | None = None  # whose leaders are drawn first
    sampler: Annotated[str, AfterValidator(lambda name: _known(name, SAMPLERS))] = "tpe"
    sampler_options: dict[str, Any] = {}
    pruner: Annotated[
        str, BeforeValidator(_without_asha), AfterValidator(lambda name: _known(name, PRUNERS))
    ] = "median"
    pruner_options: dict[str, Any] = {}
    monitor_fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    keep_models: Literal["none", "leaders", "all"] = "leaders"
    keep_models_mb: Positive | None = None  # of all models of the study, once it is over
    final: Literal["keep", "retrain"] = "keep"  # the model that is registered for the verdict
    retries: Annotated[int, Field(ge=0)] = 2
    max_seconds: Positive | None = None  # of one evaluation
    max_memory_mb: Count | None = None  # of one evaluation
    stall_seconds: Positive = 600.0  # of silence, then the child is ended
    max_consecutive_failures: Count = 5
    precision: Literal["auto", "float32", "mixed_bfloat16"] = "auto"
    threads: Literal["auto"] | Count = "auto"  # of one child

    @property
    def in_rounds(self) -> bool:
        """Whether the confirm stage adds seeds in rounds until the comparison is decided."""
        return self.seeds == "auto"

    @property
    def first_seeds(self) -> int:
        """Seeds of each candidate that the confirm stage begins with."""
        return FIRST_ROUND if self.seeds == "auto" else self.seeds

    @property
    def expected_seeds(self) -> int:
        """Seeds of each candidate that the confirm stage takes on average: what a budget keeps for it."""
        return min(TYPICAL_SEEDS, self.max_seeds) if self.seeds == "auto" else self.seeds

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """Optuna's direction of the objective."""
        return "minimize" if self.objective == "loss" else "maximize"

    @property
    def monitor_metric(self) -> str:
        """The metric of the monitor split that an epoch reports and explore ranks by."""
        return "monitor_accuracy" if self.objective == "val_accuracy" else f"monitor_{self.objective}"
