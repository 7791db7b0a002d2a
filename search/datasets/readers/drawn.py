"""The synthetic set, drawn anew for each source: `synthetic` or `synthetic:train=4000,seed=3`."""

import hashlib
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from search.datasets.catalog import Catalogue, Raw, Source
from search.datasets.listing.layout import known_classes
from spaces.errors import UserError

NAME: Final = "synthetic"
#: name -> (kind, least, most)
OPTIONS: Final[dict[str, tuple[type[int] | type[float], int, int]]] = {
    "train": (int, 1, 200_000),
    "validation": (int, 0, 200_000),
    "test": (int, 0, 200_000),
    "seed": (int, 0, 2**31),
    "noise": (float, 0, 1),
}


def accepts(source: Source) -> bool:
    """Accept `synthetic`, alone or with options behind a colon."""
    return isinstance(source, str) and source.split(":")[0] == NAME


def stamp(source: Source) -> str:
    """Return a digest of the options and of all files of the program that draws."""
    from search.datasets.synthetic import dataset

    files = sorted(Path(dataset.__file__).parent.glob("*.py"))
    program = b"".join(file.read_bytes() for file in files)
    return hashlib.sha256(program + repr(sorted(options(str(source)).items())).encode()).hexdigest()


def read(source: Source) -> Catalogue:
    """Draw the set. Its ids name the expression that was drawn, which a wrong label does not."""
    from search.datasets.synthetic import dataset

    drawn = dataset.draw(**options(str(source)))  # type: ignore[arg-type]
    names = dataset.CLASS_NAMES
    roles = [role for role, (_, labels, _) in drawn.items() for _ in labels]
    labels = [names[label] for _, numbers, _ in drawn.values() for label in numbers]
    images = [image for pixels, _, _ in drawn.values() for image in pixels]
    present = {role: {label for r, label in zip(roles, labels, strict=True) if r == role} for role in drawn}
    classes = known_classes(present, str(source))

    def fetch(rows: Sequence[int]) -> Iterator[tuple[int, Raw]]:
        for row in rows:
            yield row, images[row]

    return Catalogue(
        name=NAME,
        ids=tuple(str(name) for _, _, ids in drawn.values() for name in ids),
        roles=tuple(roles),
        labels=tuple(labels),
        class_names=tuple(name for name in names if name in classes),
        fetch=fetch,
        notes=("Synthetic: drawn by a program, of nobody.",),
        synthetic=True,
    )


def options(source: str) -> dict[str, int | float]:
    """Return the options behind the colon. Raises UserError for an unknown one and for what is no number."""
    found: dict[str, int | float] = {}
    for text in filter(None, source.partition(":")[2].split(",")):
        name, _, value = (part.strip() for part in text.partition("="))
        if name not in OPTIONS:
            near = get_close_matches(name, OPTIONS, 1) or sorted(OPTIONS)
            raise UserError(f"The synthetic set has no option {name!r}; did you mean {' or '.join(near)}?")
        found[name] = _number(name, value)
    return found


def _number(name: str, value: str) -> int | float:
    kind, least, most = OPTIONS[name]
    try:
        number = kind(value)
    except ValueError:
        number = most + 1
    if not least <= number <= most:
        raise UserError(f"The synthetic set's {name} must be from {least} to {most:,}. Received: {value!r}.")
    return number
