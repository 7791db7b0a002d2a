"""What has no formula is drawn again: bootstraps over images and seeds, with a fixed seed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def crossed_bootstrap(
    statistic: Callable[[Floats], Floats],
    seeds: int,
    images: int,
    *,
    groups: NDArray[np.int64] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Floats:
    """Draw a statistic's mean over seeds, with seeds and images resampled independently.

    Draws of two candidates with the same arguments use the same resamples, so their difference is paired.

    Drawing both ways at once counts what is neither image nor seed three times (Owen 2007, The pigeonhole
    bootstrap). Its intervals are never too narrow, and up to 1.7 times too wide where that noise is all
    there is.

    Args:
        statistic: From image weights (resamples, images) to its value for each seed (resamples, seeds).
        seeds: The number of seeds.
        images: The number of images.
        groups: The group of duplicates of each image, (images,), drawn together; None for no duplicates.
        resamples: The number of draws.
        seed: Of the resamples.

    Returns:
        The draws, (resamples,).
    """
    random = np.random.default_rng(seed)
    values = statistic(_image_weights(images, groups, resamples, random))
    return np.asarray((values * _counts(seeds, resamples, random)).sum(axis=1) / seeds)


def percentile_interval(draws: Floats, alpha: float = 0.05) -> tuple[float, float]:
    """The percentile bootstrap interval of draws (resamples,)."""
    low, high = np.quantile(draws, [alpha / 2.0, 1.0 - alpha / 2.0])
    return float(low), float(high)


@dataclass(frozen=True)
class Optimism:
    """What the best score of several owes to having been picked, in the score's units."""

    apparent: float
    corrected: float

    @property
    def optimism(self) -> float:
        """Apparent minus corrected score of the winner."""
        return self.apparent - self.corrected


def selection_optimism(values: Floats, *, resamples: int = 200, seed: int = 0) -> Optimism:
    """How much the highest of several scores flatters its winner.

    values: (candidates, seeds, images), higher is better. Seeds and images are resampled, the winner is
    chosen in the bag and scored on what is left out of it (bootstrap bias-corrected cross-validation:
    Tsamardinos, Greasidou and Borboudakis 2018). With one or two seeds images alone are resampled. The
    winner's score is taken relative to the mean of all candidates, which no choice can flatter: less noise,
    the same mean.
    """
    _, seeds, images = values.shape
    random = np.random.default_rng(seed)
    image_counts = _counts(images, resamples, random)
    seed_counts = _counts(seeds, resamples, random) if seeds > 2 else np.ones((resamples, seeds))
    left_out = seed_counts == 0.0 if seeds > 2 else seed_counts > 0.0
    usable = left_out.any(axis=1) & (image_counts == 0.0).any(axis=1)
    image_counts, seed_counts, left_out = image_counts[usable], seed_counts[usable], left_out[usable]
    winner = _weighted(values, image_counts, seed_counts).argmax(axis=1)
    outside = _weighted(values, image_counts == 0.0, left_out)
    gain = outside[np.arange(len(winner)), winner] - outside.mean(axis=1)
    scores = values.mean(axis=(1, 2))
    return Optimism(float(scores.max()), float(scores.mean() + gain.mean()))


def _weighted(values: Floats, images: NDArray[np.generic], seeds: NDArray[np.generic]) -> Floats:
    """Weighted means (resamples, candidates) of values (candidates, seeds, images)."""
    image_weights, seed_weights = images.astype(np.float64), seeds.astype(np.float64)
    by_seed = np.tensordot(image_weights, values, axes=(1, 2))
    total = np.einsum("rcs,rs->rc", by_seed, seed_weights)
    return np.asarray(total / (image_weights.sum(axis=1) * seed_weights.sum(axis=1))[:, None])


def _image_weights(
    images: int, groups: NDArray[np.int64] | None, resamples: int, random: np.random.Generator
) -> Floats:
    if groups is None:
        return _counts(images, resamples, random)
    _, member = np.unique(groups, return_inverse=True)
    return _counts(int(member.max()) + 1, resamples, random)[:, member]


def _counts(size: int, resamples: int, random: np.random.Generator) -> Floats:
    """How often each of `size` things is drawn in as many draws, (resamples, size)."""
    drawn = random.integers(size, size=(resamples, size)) + size * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * size).reshape(resamples, size).astype(np.float64)
