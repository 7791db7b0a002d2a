"""The embedded synthetic set, drawn anew for each source string: `synthetic` or
`synthetic:train=4000,seed=3`.
"""

import hashlib
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from search.datasets.catalogue import Catalogue, Raw, Source
from spaces.errors import UserError

NAME: Final = "synthetic"
OPTIONS: Final = {"train": int, "validation": int, "test": int, "seed": int, "noise": float}


def accepts(source: Source) -> bool:
    """Accept `synthetic`, alone or with options behind a colon."""
    return isinstance(source, str) and source.split(":")[0] == NAME


def stamp(source: Source) -> str:
    """Return a digest of the options and of the program that draws."""
    from search.datasets import synthetic

    program = Path(synthetic.__file__).read_bytes()
    return hashlib.sha256(program + repr(sorted(options(str(source)).items())).encode()).hexdigest()


def read(source: Source) -> Catalogue:
    """Draw the set."""
    from search.datasets import synthetic

    drawn = synthetic.draw(**options(str(source)))  # type: ignore[arg-type]
    names = synthetic.CLASS_NAMES
    ids, roles, labels, images = [], [], [], []
    for role, (x, y, own_ids) in drawn.items():
        ids += [f"{role}/{names[label]}/{own_id}" for label, own_id in zip(y, own_ids, strict=True)]
        roles += [role] * len(y)
        labels += [names[label] for label in y]
        images += list(x)

    def fetch(rows: Sequence[int]) -> Iterator[tuple[int, Raw]]:
        for row in rows:
            yield row, images[row]

    return Catalogue(
        NAME,
        tuple(ids),
        tuple(roles),
        tuple(labels),
        tuple(names),
        fetch,
        ("Drawn by a program: synthetic.",),
        True,
    )


def options(source: str) -> dict[str, int | float]:
    """Return the options behind the colon. Raises UserError for an unknown one and for what is no number."""
    found: dict[str, int | float] = {}
    for text in filter(None, source.partition(":")[2].split(",")):
        name, _, value = (part.strip() for part in text.partition("="))
        if name not in OPTIONS:
            near = get_close_matches(name, OPTIONS, 1) or sorted(OPTIONS)
            raise UserError(f"The synthetic set has no option {name!r}; did you mean {' or '.join(near)}?")
        try:
            found[name] = OPTIONS[name](value)
        except ValueError as error:
            raise UserError(f"The synthetic set's {name} must be a number. Received: {value!r}.") from error
    return found
