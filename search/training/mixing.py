"""What changes in a batch before the network sees it: mirrored images, and images made of two.

- Alternating flip (Jordan, 94% on CIFAR-10 in 3.29 Seconds, arXiv 2404.00498, section 3.6): the first epoch
  mirrors a random half of the images, and each later epoch the other half of its predecessor's.
- Mixup (Zhang et al. 2018): an image becomes l times itself plus 1 - l times another of its batch, and its
  target likewise; l is drawn from Beta(alpha, alpha) for each image.
- CutMix (Yun et al. 2019): a rectangle of 1 - l of the area comes from the other image, and the target by
  the area that was really replaced.

Keras' layers for these draw from generators with a state of their own. Here everything is a function of
(seed, epoch, batch), so that a resumed training sees the same images on any backend.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from search.training.recipe import Recipe

_LEVELS: Final = 256  # steps of a share: so images are mixed in whole numbers, and targets by the same share
#: Keeps the draws of the two apart from each other, and from the order of images.
_MIRRORED, _MIXED = 1, 2

Columns = tuple[NDArray[Any], ...]


@dataclass(frozen=True)
class Mixing:
    """Varies batches by a recipe.

    Attributes:
        recipe: its `mixup`, `cutmix` and `flip` are used.
        seed: of all draws.
        images: how many there are to train on.
    """

    recipe: Recipe
    seed: int
    images: int

    @classmethod
    def of(cls, recipe: Recipe, seed: int, images: int) -> "Mixing | None":
        """The mixing that a recipe asks for; None where it asks for none.

        Args:
            recipe: How to train.
            seed: Of all draws.
            images: How many there are to train on.
        """
        return cls(recipe, seed, images) if recipe.mixes or recipe.flip == "alternating" else None

    def vary(self, columns: Columns, rows: NDArray[np.int64], epoch: int, batch: int) -> Columns:
        """One batch, varied.

        Args:
            columns: Images, uint8 (images, height, width, channels), float32 targets (images, classes), and
                the weight of each image, where there are weights.
            rows: Which images these are, from 0.
            epoch: From 0.
            batch: Its number in the epoch, from 0.

        Returns:
            Columns of the same shapes and types. Targets still sum to 1.
        """
        images, *others = columns
        if self.recipe.flip == "alternating":
            images = mirrored(images, self._mirrored(epoch)[rows])
        if not self.recipe.mixes:
            return (images, *others)
        random = np.random.default_rng([self.seed, epoch, batch, _MIXED])
        partners, cut = random.permutation(len(images)), self._cuts(random)
        alpha = self.recipe.cutmix if cut else self.recipe.mixup
        shares = np.round(_LEVELS * random.beta(alpha, alpha, len(images))).astype(np.uint16)
        if cut:
            images, kept = cut_and_mixed(images, images[partners], shares / _LEVELS, random)
        else:
            images, kept = mixed(images, images[partners], shares), shares / _LEVELS
        return (images, *(_blended(column, column[partners], kept) for column in others))

    def _mirrored(self, epoch: int) -> NDArray[np.bool_]:
        """Which images an epoch mirrors."""
        first = np.random.default_rng([self.seed, _MIRRORED]).random(self.images) < 0.5
        return first if epoch % 2 == 0 else ~first

    def _cuts(self, random: np.random.Generator) -> bool:
        if self.recipe.mixup and self.recipe.cutmix:
            return bool(random.random() < 0.5)
        return self.recipe.cutmix > 0


def mirrored(images: NDArray[np.uint8], chosen: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Some images mirrored left to right, the others as they are.

    Args:
        images: uint8 (images, height, width, channels).
        chosen: Which, (images,).
    """
    turned = images.copy()
    turned[chosen] = images[chosen, :, ::-1]
    return turned


def mixed(
    images: NDArray[np.uint8], partners: NDArray[np.uint8], shares: NDArray[np.uint16]
) -> NDArray[np.uint8]:
    """Each image blended with its partner, rounded to whole levels.

    Args:
        images: uint8 (images, height, width, channels).
        partners: The same shape.
        shares: Of the image itself, in 256ths, (images,).
    """
    own = shares[:, None, None, None]
    blended: NDArray[np.uint16] = images * own + partners * (_LEVELS - own) + _LEVELS // 2
    return (blended >> 8).astype(np.uint8)


def cut_and_mixed(
    images: NDArray[np.uint8],
    partners: NDArray[np.uint8],
    shares: NDArray[np.float64],
    random: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Each image with a rectangle of its partner.

    Args:
        images: uint8 (images, height, width, channels).
        partners: The same shape.
        shares: Of the area that an image should keep, from 0 to 1, (images,).
        random: Draws the centres.

    Returns:
        The images, and the share of its area that each has kept: rectangles are cut off at the edges.
    """
    count, height, width = images.shape[:3]
    side = np.sqrt(1 - shares)
    centres = random.random((2, count))
    rows, columns = _band(height, side, centres[0]), _band(width, side, centres[1])
    replaced = rows[:, :, None, None] & columns[:, None, :, None]
    kept = 1 - rows.mean(axis=1) * columns.mean(axis=1)
    return np.where(replaced, partners, images), kept


def _band(size: int, extent: NDArray[np.float64], centre: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mask (images, size): pixels within `extent` / 2 of a centre, both as shares of the size."""
    position = (np.arange(size) + 0.5) / size
    return np.abs(position - centre[:, None]) < extent[:, None] / 2


def _blended(
    column: NDArray[np.float32], partners: NDArray[np.float32], kept: NDArray[np.float64]
) -> NDArray[np.float32]:
    own = kept.astype(np.float32).reshape(-1, *[1] * (column.ndim - 1))
    return column * own + partners * (1 - own)
