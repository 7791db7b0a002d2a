"""From the names and lists of an experiment file to flat settings, and from a grid to its cells."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any, Final

from spaces.errors import UserError

#: Each cell is trained, so that larger grids are mistakes.
MOST_CELLS: Final = 10_000


def is_recipe(name: str) -> bool:
    """Whether a name belongs to the recipe ("recipe.learning_rate") and not to the architecture."""
    return name.startswith("recipe.")


def expand(settings: Mapping[str, Any], counts: Mapping[str, str]) -> dict[str, Any]:
    """Spell lists out: {"kernels": [32, 64]} becomes kernels_1, kernels_2 and the count that goes with them.

    `counts` says which count a list decides, such as kernels -> conv_stages; one that is set stays as set.
    """
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if is_recipe(name) or not isinstance(value, list):
            flat[name] = value
            continue
        flat |= {f"{name}_{position}": item for position, item in enumerate(value, start=1)}
        if name in counts and counts[name] not in settings:
            flat[counts[name]] = len(value)
    return flat


def cells(
    tables: Sequence[Mapping[str, Sequence[Any]]], fix: Mapping[str, Any], counts: Mapping[str, str]
) -> tuple[dict[str, Any], ...]:
    """Every cell of the united cross products, in the file's order, each once, with what is fixed in it.

    Raises UserError for more than MOST_CELLS.
    """
    count = sum(prod(map(len, table.values())) for table in tables)
    if count > MOST_CELLS:
        raise UserError(
            f"[grid] has {count:,} cells, and each is trained on every seed: {MOST_CELLS:,} are the most. "
            "Take fewer values, or a [search]."
        )
    unique: list[dict[str, Any]] = []
    seen: set[str] = set()
    for cell in _combinations(tables):
        flat = expand({**fix, **cell}, counts)
        written = repr(sorted(flat.items()))
        if written not in seen:
            seen.add(written)
            unique.append(flat)
    return tuple(unique)


def _combinations(tables: Sequence[Mapping[str, Sequence[Any]]]) -> Iterator[dict[str, Any]]:
    for table in tables:
        for values in product(*table.values()):
            yield dict(zip(table, values, strict=True))
