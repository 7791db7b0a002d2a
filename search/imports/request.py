"""What the person asks of a source besides its address."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Protocol, cast

from search.imports.table import Table


@dataclass(frozen=True)
class Request:
    """What is asked for. None and () leave it to the guess, or leave it out.

    Attributes:
        candidate: Columns that tell candidates apart.
        seed: The column with the seed.
        scores: "val_accuracy", "train_accuracy", "test_accuracy" to column.
        images: Number of validation images; it overrides a column.
        test_images: Number of test images, likewise.
        tracking_uri: The MLflow server or store to read.
        study: The Optuna study to read.
        curve: Files with scores by epoch, a pattern; of MLflow the names of metrics, separated by commas.
        predictions: Files with predictions, a pattern; of MLflow an artifact's path.
        labels: A file with the labels of the validation images, where the predictions come without.
        progress: Is given what is being read, now and then.
    """

    candidate: tuple[str, ...] = ()
    seed: str | None = None
    scores: Mapping[str, str] = field(default_factory=dict)
    images: int | None = None
    test_images: int | None = None
    tracking_uri: str | None = None
    study: str | None = None
    curve: str | None = None
    predictions: str | None = None
    labels: str | None = None
    progress: Callable[[str], None] = lambda _: None


class SourceReader(Protocol):
    """A module of `search.imports.readers`. A file there adds a source; nothing else lists them."""

    #: How the source is written, for messages.
    FORM: str

    def accepts(self, source: str) -> bool:
        """Whether this reader is meant for the source, by its form alone."""

    def read(self, source: str, request: Request) -> Table:
        """Read the source. Raises UserError where it is not what it should be."""


def as_source_reader(module: ModuleType) -> SourceReader:
    """A reader module under its type."""
    return cast(SourceReader, module)
