"""The sections of an experiment file besides `[protocol]`: their keys, types, ranges and defaults.

Everything is strict: a string is no number, an unknown key is an error, and nothing can be set afterwards.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from search.protocol import Count, Section

Rate = Annotated[float, Field(ge=0, le=1)]
_MOST_STEPS = 1_000_000

#: The default margins: one point of accuracy or macro F1; of a loss what makes the right class 2% more
#: probable.
MARGINS = {"val_accuracy": 0.01, "macro_f1": 0.01, "loss": 0.02}


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
        if self.step is not None and (self.high - self.low) / self.step > _MOST_STEPS:
            raise ValueError(f"step must divide the range into {_MOST_STEPS:,} parts at most")
        if self.log and self.low <= 0:
            raise ValueError("low must be above 0 if log is true")
        if self.default is not None and not self.low <= self.default <= self.high:
            raise ValueError("default must lie between low and high")
        return self


class VerdictRule(Section):
    """`[verdict]`: the rule, written before the search.

    Selected is the smallest candidate near the best whose relative overfit is not surely above tau.
    """

    tau: Rate = 0.35
    # A difference surely within it is a tie; by default that of the objective.
    margin: Annotated[float, Field(gt=0, le=0.5)] | None = None


def _pair(value: object) -> object:
    return (value, value) if isinstance(value, int) else tuple(value) if isinstance(value, list) else value


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _labels(value: str) -> str:
    if value not in ("keep", "drop-train") and not value.lower().endswith(".csv"):
        raise ValueError('must be "keep", "drop-train" or the path of a table of votes that ends in .csv')
    return value


Side = Annotated[int, Field(ge=8, le=1024)]


class Images(Section):
    """`[data]`: which images, and how they are read."""

    source: Annotated[str, Field(min_length=1)] = "synthetic"
    image_size: Annotated[tuple[Side, Side], BeforeValidator(_pair)] | None = None  # height, width
    channels: Literal[1, 3] | None = None
    limit: Count | None = None  # of images, over all splits
    classes: Annotated[tuple[str, ...], Field(min_length=2), BeforeValidator(_tuple)] | None = None
    group: Annotated[str, Field(min_length=1)] | None = None  # column, or pattern of file names
    labels: Annotated[str, AfterValidator(_labels)] = "keep"  # or "drop-train", or a table of votes
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
