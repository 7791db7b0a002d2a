"""Draws evaluations of simulated candidates: every image has a difficulty that all candidates share."""

from collections.abc import Mapping, Sequence

import numpy as np

from reports.inference.comparison import Evaluation

CLASSES = 4


def drawn(
    skills: Mapping[str, float],
    seeds: Mapping[str, int] | int = 5,
    images: int = 1000,
    *,
    parameters: Mapping[str, int] | None = None,
    train_accuracy: Mapping[str, float] | None = None,
    random_seed: int = 0,
) -> list[Evaluation]:
    """Evaluations of candidates by name with a skill; one point of skill is some 25 points of accuracy."""
    random = np.random.default_rng(random_seed)
    labels = random.integers(CLASSES, size=images)
    difficulty = random.standard_normal(images)
    found = []
    for name, skill in skills.items():
        taste = 0.3 * random.standard_normal(images)
        for seed in range(seeds if isinstance(seeds, int) else seeds[name]):
            right = skill + difficulty + taste + 0.6 * random.standard_normal(images) > 0
            guess = np.where(right, labels, (labels + random.integers(1, CLASSES, images)) % CLASSES)
            found.append(
                evaluation(
                    name,
                    seed,
                    labels,
                    guess,
                    parameters=(parameters or {}).get(name, 1000),
                    train_accuracy=(train_accuracy or {}).get(name, 0.75),
                )
            )
    return found


def evaluation(
    name: str,
    seed: int,
    labels: Sequence[int] | np.ndarray,
    guess: Sequence[int] | np.ndarray,
    *,
    parameters: int = 1000,
    train_accuracy: float = 0.75,
) -> Evaluation:
    """One evaluation that is nine parts sure of its guesses."""
    images = len(labels)
    sure = np.full((CLASSES, CLASSES), 0.1 / (CLASSES - 1), dtype=np.float32)
    np.fill_diagonal(sure, 0.9)
    return Evaluation(
        candidate=name,
        architecture=f"architecture of {name}",
        label=f"network {name}",
        family="plain_cnn",
        variant="",
        seed=seed,
        parameters=parameters,
        baseline=name == "base",
        ids=np.array([f"image_{index:05d}" for index in range(images)]),
        labels=np.asarray(labels),
        probabilities=sure[np.asarray(guess)],
        groups=np.arange(images),
        has_twin=np.zeros(images, dtype=np.bool_),
        train_clean_accuracy=train_accuracy,
    )


def right_answers(seeds, images, *, candidates=2, seed_noise=0.03, random_seed=0):
    """Right answers (candidates, seeds, images) of networks that find the same images hard."""
    random = np.random.default_rng(random_seed)
    latent = random.standard_normal(images) + 0.4 * random.standard_normal((candidates, 1, images))
    latent = latent + 0.7 * random.standard_normal((candidates, seeds, images))
    return (latent + seed_noise * random.standard_normal((candidates, seeds, 1)) > -0.5).astype(float)
