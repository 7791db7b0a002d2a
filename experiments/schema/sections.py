"""The sections of an experiment file: their keys, types, ranges and defaults.

Everything is strict: a string is no number, an unknown key is an error, and nothing can be set afterwards.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from search.safety.paths import NAME

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Rate = Annotated[float, Field(ge=0, le=1)]

#: Keys of `[protocol]` that may grow or change while the study stays the same one. Precision and threads
#: are here because a study records what "auto" became on its machine.
TOTALS: Final = frozenset(
    {
        "trials",
        "seeds",
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


class Section(BaseModel):
    """What all sections have in common: frozen, strict, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Range(Section):
    """An interval in `[search]`: of integers if all its numbers are integers, else of real numbers."""

    low: int | float
    high: int | float
    step: int | float | None = None
    log: bool = False
    default: int | float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if self.low >= self.high:
            raise ValueError("low must be below high")
        if self.step is not None and (self.step <= 0 or self.log):
            raise ValueError("step must be positive and cannot be combined with log")
        if self.log and self.low <= 0:
            raise ValueError("low must be above 0 if log is true")
        if self.default is not None and not self.low <= self.default <= self.high:
            raise ValueError("default must lie between low and high")
        return self


def _without_asha(pruner: object) -> object:
    if pruner == "asha":
        raise ValueError(
            'must name a pruner that exists: "asha" was removed; take "median" (the default), '
            '"successive_halving", "hyperband", "percentile", "patient", "threshold", "wilcoxon" or "none"'
        )
    return pruner


class Protocol(Section):
    """`[protocol]`: how candidates are searched, confirmed and judged."""

    objective: Literal["val_accuracy", "macro_f1", "loss"] = "val_accuracy"
    trials: Count = 60  # total of explore
    seeds: Count = 5  # confirm, for each leader or cell
    leaders: Count = 5
    explore_seeds: Count = 1  # of a candidate in explore; their mean ranks it
    also_minimize: Literal["parameters", "macs"] | None = None  # a second objective of explore
    epochs: Count = 100
    patience: Count = 5
    hours: Positive | None = None
    max_parameters: Count | None = None
    max_macs: Count | None = None
    leaks: Literal["purge-train", "report", "refuse"] = "purge-train"
    warm_start: Annotated[str, Field(pattern=NAME)] | None = None  # whose leaders are drawn first
    sampler: Literal["tpe", "random", "grid", "qmc", "cmaes", "nsga2", "gp"] = "tpe"
    sampler_options: dict[str, Any] = {}
    pruner: Annotated[
        Literal[
            "median", "hyperband", "successive_halving", "percentile", "threshold", "patient", "wilcoxon",
            "none",
        ],
        BeforeValidator(_without_asha),
    ] = "median"  # fmt: skip
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


class Verdict(Section):
    """`[verdict]`: the rule, written before the search. Chosen is the smallest candidate within one standard
    error of the best whose relative overfit is not surely above tau.
    """

    tau: Rate = 0.35
    margin: Annotated[float, Field(gt=0, le=0.5)] = 0.01  # a difference surely within it is a tie


def _pair(value: object) -> object:
    return (value, value) if isinstance(value, int) else tuple(value) if isinstance(value, list) else value


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


Side = Annotated[int, Field(ge=8, le=1024)]


class Images(Section):
    """`[data]`: which images, and how they are read."""

    source: Annotated[str, Field(min_length=1)] = "synthetic"
    image_size: Annotated[tuple[Side, Side], BeforeValidator(_pair)] | None = None  # height, width
    channels: Literal[1, 3] | None = None
    limit: Count | None = None  # of images, over all splits
    classes: Annotated[tuple[str, ...], Field(min_length=2), BeforeValidator(_tuple)] | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    folds: Annotated[int, Field(ge=2, le=20)] | None = None  # of train and validation together


class Published(Section):
    """One `[[published]]` row: numbers from elsewhere, shown beside ours and used for nothing else."""

    architecture: Annotated[str, Field(min_length=1)]
    family: str | None = None
    variant: str | None = None
    conv_stages: Count | None = None
    kernels: Annotated[str, Field(pattern=r"^\d+(-\d+)*$")] | None = None
    dense_layers: Count | None = None
    neurons: Annotated[str, Field(pattern=r"^\d+(-\d+)*$")] | None = None
    parameters: Count | None = None
    n: Count | None = None  # images behind the validation numbers
    train_accuracy: Rate | None = None
    train_loss: Annotated[float, Field(ge=0)] | None = None
    val_accuracy: Rate | None = None
    val_loss: Annotated[float, Field(ge=0)] | None = None
    test_accuracy: Rate | None = None
    test_loss: Annotated[float, Field(ge=0)] | None = None
    n_test: Count | None = None
    note: str | None = None
    leak: str | None = None
    group: str | None = None
