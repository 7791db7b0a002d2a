"""What a card is made of: plain text that Markdown and HTML show alike."""

from collections.abc import Sequence
from dataclasses import dataclass

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Grid:
    """A small table of text. numeric: which columns are numbers."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()


@dataclass(frozen=True)
class CardSection:
    """A heading and what stands under it, in this order; what is empty is left out."""

    title: str
    paragraphs: tuple[str, ...] = ()
    grid: Grid | None = None
    facts: tuple[tuple[str, str], ...] = ()
    points: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelFile:
    """The file that a card goes with. images, epochs: what it was trained on again; 0 where not."""

    retrained: bool = False
    images: int = 0
    epochs: int = 0
    run_id: str = ""


@dataclass(frozen=True)
class Content:
    """One card. warnings: what must be read before any number."""

    title: str
    subtitle: str
    warnings: tuple[str, ...]
    sections: tuple[CardSection, ...]
