"""How a study that looks several times divides the error that it may spend."""

import functools
import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]

#: Points of the grid on which the boundary is computed.
_POINTS = 1201


def alpha_of_look(look: int, alpha: float = 0.05) -> float:
    """The error that a look at a study may spend: alpha / 2^look.

    The sum over all looks stays below alpha, however often a study is extended (Bonferroni over a geometric
    series).

    Args:
        look: counted from 1; all rounds of one confirm stage are one look.
        alpha: the error that all looks together may spend.

    Raises:
        ValueError: look is below 1.
    """
    if look < 1:
        raise ValueError(f"Looks are counted from 1. Received: {look}")
    return float(alpha / 2.0**look)


@functools.lru_cache(maxsize=64)
def levels(seeds: tuple[int, ...], alpha: float) -> tuple[float, ...]:
    """The level of each round's tests, so that all rounds together spend alpha.

    The spending function alpha ln(1 + (e - 1) t) with t the share of the seeds (Lan and DeMets 1983, of
    Pocock's type), its boundary found by numerical integration of a Brownian motion (Armitage, McPherson and
    Rowe 1969). Each round's boundary is used as a significance level with Student's distribution (Jennison
    and Turnbull 2000, section 3.8). What the rounds share, the images' noise, makes it conservative.

    Args:
        seeds: cumulative seeds at the end of each round, rising.
        alpha: the two-sided error of all rounds together.

    Returns:
        The two-sided level of each round.
    """
    found: list[float] = []
    shares = [one / seeds[-1] for one in seeds]
    before, spent = 0.0, 0.0
    grid: Floats = np.zeros(1)
    density: Floats = np.ones(1)
    for share in shares:
        step = share - before
        reach = 6.0 * math.sqrt(share)
        points = np.linspace(-reach, reach, _POINTS)
        width = points[1] - points[0]
        moved = np.exp(-((points[:, None] - grid[None, :]) ** 2) / (2.0 * step)) @ density
        mass = moved * width / math.sqrt(2.0 * math.pi * step)
        goal = alpha * math.log1p((math.e - 1.0) * share)
        # Mass outside of +-points[i], from the middle outwards.
        middle = _POINTS // 2
        outside = 2.0 * (np.cumsum(mass[::-1])[::-1][middle:] - mass[middle:] / 2.0)
        edge = float(np.interp(goal - spent, outside[::-1], points[middle:][::-1]))
        found.append(2.0 * float(special.ndtr(-edge / math.sqrt(share))))
        # What goes on: the part inside, the cell at the edge counted in proportion.
        inside = np.clip((edge - np.abs(points)) / width + 0.5, 0.0, 1.0)
        grid, density, before, spent = points, mass * inside, share, goal
    return tuple(found)
