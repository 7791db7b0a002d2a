"""Draws tables of right answers for comparisons whose truth is known."""

from collections.abc import Mapping, Sequence

import numpy as np

from reports.records.evaluation import ScoreTable

MAJORITY = 0.25


def table(
    name: str,
    accuracy: float,
    seeds: Sequence[int] = range(1, 6),
    *,
    images: int = 2000,
    spread: float = 0.005,
    failed: Sequence[int] = (),
    difficulty: int = 0,
    parameters: int = 1000,
    random_seed: int = 0,
) -> ScoreTable:
    """One candidate whose seeds differ by `spread`; those in `failed` answer the commonest class alone."""
    shared = np.random.default_rng(difficulty).random(images)
    rows = []
    for seed in seeds:
        random = np.random.default_rng((random_seed, *name.encode(), seed))
        luck = spread * random.standard_normal()
        # Nine images in ten are as hard for all networks, one in ten is chance.
        ease = np.where(random.random(images) < 0.1, random.random(images), shared)
        right = ease < accuracy + luck
        if seed in failed:
            right = np.arange(images) < MAJORITY * images
        rows.append(right.astype(float))
    scores = np.stack(rows)
    return ScoreTable(name, name, parameters, tuple(seeds), scores, scores.mean(axis=1))


def tables(accuracies: Mapping[str, float], **more) -> list[ScoreTable]:
    """One candidate for each name."""
    return [table(name, accuracy, **more) for name, accuracy in accuracies.items()]
