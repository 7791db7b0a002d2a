"""What one factor does while the others are held: the only effect a grid lets one claim."""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reports.statistics.twoway import Estimate, Floats, paired_difference


@dataclass(frozen=True)
class FactorEffect:
    """The change from one level of a factor to another, averaged over the settings that have both."""

    factor: str
    level: Hashable
    reference: Hashable
    settings: int
    difference: Estimate


def factor_effects(
    settings: Sequence[Mapping[str, Hashable]],
    values: Floats,
    factor: str,
    *,
    groups: NDArray[np.int64] | None = None,
    alpha: float = 0.05,
) -> tuple[FactorEffect, ...]:
    """Each level of a factor against its first, with all other factors equal.

    The differences are averaged over the matched settings, image by image and seed by seed, and analysed as
    one pair. The interval is for the settings of this grid, new seeds and new images.

    Args:
        settings: One mapping of factor to level for each cell.
        values: Scores, (cells, seeds, images); higher is better.
        factor: The name of the factor.
        groups: The group of duplicates of each image, (images,); None for no duplicates.
        alpha: What an interval leaves out, in (0, 1).

    Returns:
        One effect for each level but the first; levels without a matched setting are left out.
    """
    matched = _cells_by_setting(settings, factor)
    levels = sorted({cell[factor] for cell in settings if factor in cell}, key=_order)
    effects = []
    for level in levels[1:]:
        pairs = [
            (block[level], block[levels[0]]) for block in matched if level in block and levels[0] in block
        ]
        if pairs:
            ours, reference = (values[list(cells)].mean(axis=0) for cells in zip(*pairs, strict=True))
            difference = paired_difference(ours, reference, groups=groups, alpha=alpha)
            effects.append(FactorEffect(factor, level, levels[0], len(pairs), difference))
    return tuple(effects)


def _cells_by_setting(settings: Sequence[Mapping[str, Hashable]], factor: str) -> list[dict[Hashable, int]]:
    """Level to cell index, for every setting of the other factors."""
    blocks: defaultdict[frozenset[tuple[str, Hashable]], dict[Hashable, int]] = defaultdict(dict)
    for cell, setting in enumerate(settings):
        if factor in setting:
            others = frozenset((name, level) for name, level in setting.items() if name != factor)
            blocks[others][setting[factor]] = cell
    return list(blocks.values())


def _order(level: Hashable) -> tuple[int, float, str]:
    """Numbers by size, before everything else by name."""
    if isinstance(level, (int, float)):
        return 0, float(level), ""
    return 1, 0.0, str(level)
