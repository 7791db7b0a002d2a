"""How often the interval of a paired difference holds the truth where each seed is a repeat of folds.

    python -m benchmarks.folds_simulation

600 simulated studies a line (about ten seconds): 500 images, two networks of equal ability. Whether an image
is recognised depends on the image, on image and candidate together, and on the ability of the network that
judges it: one network a seed without folds, one a fold and seed with them. Networks differ by `spread` in the
argument of the normal distribution (0.15: about 5 points of accuracy). What no repeat varies, that all learn
from the same images, is not simulated: no analysis of such a study could see it.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from reports.statistics import difference, sample

STUDIES, IMAGES = 600, 500
QUICK = True


def study(
    generator: np.random.Generator, seeds: int, folds: int, spread: float
) -> tuple[NDArray[np.float64], ...]:
    """Two candidates' right answers, each (seeds, images)."""
    difficulty = generator.normal(0.3, 0.9, IMAGES)
    answers = []
    for _ in range(2):
        taste = generator.normal(0.0, 0.4, IMAGES)
        fold = np.stack([generator.permutation(IMAGES) % folds for _ in range(seeds)])
        ability = np.take_along_axis(generator.normal(0.0, spread, (seeds, folds)), fold, axis=1)
        chance = norm.cdf(difficulty + taste + ability)
        answers.append((generator.random((seeds, IMAGES)) < chance).astype(np.float64))
    return tuple(answers)


def coverage(seeds: int, folds: int, spread: float) -> tuple[float, float]:
    """Share of the 95% intervals that hold 0, and their mean width in points."""
    generator = np.random.default_rng(1)
    found = [difference(*map(sample, study(generator, seeds, folds, spread))) for _ in range(STUDIES)]
    held = float(np.mean([abs(one.estimate) <= one.reach(0.05) for one in found]))
    return held, 200 * float(np.mean([one.reach(0.05) for one in found]))


def main() -> None:
    """Print a line for each number of seeds, with folds and without."""
    print("seeds  folds  spread  coverage  width")
    for seeds in (3, 5, 10):
        for folds, spread in ((1, 0.15), (5, 0.15), (5, 0.4)):
            held, width = coverage(seeds, folds, spread)
            print(f"{seeds:5}  {folds:5}  {spread:6}  {100 * held:7.1f}%  {width:.1f} points")


if __name__ == "__main__":
    main()
