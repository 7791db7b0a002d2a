"""Every published row at a reduced size on real images, and the table of docs/published.md.

    python -m benchmarks.published commands fer2013.zip        the commands, one a study: run them, in any order
    python -m benchmarks.published table --write               the table, from what MLflow holds of them

On two cores with AVX-512 bfloat16 the commands take half an hour together. One that was stopped goes on where
it ended. What is reduced, and what differs from the published training, stands in every row.
"""

import argparse
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

import reports
from reports.analysis import Analysis, analyse
from reports.rows import comparison_rows
from reports.study import Study

WORKSPACE = Path("runs/published")
DOCUMENT = Path(__file__).parents[1] / "docs" / "published.md"
BEGIN = "<!-- from here on: python -m benchmarks.published table --write -->"
#: Augmentation that shifts by 40% and turns by 30 degrees needs a hundred epochs: with six, nothing is learnt.
FLIP = ("--set", "recipe.augmentation=flip", "--set", "recipe.batch_size=32")


@dataclass(frozen=True)
class Reduced:
    """One experiment, made small; `differs`: from what was published, beyond images, epochs and seeds."""

    experiment: str
    images: int
    epochs: int
    arguments: tuple[str, ...] = ()
    differs: str = ""

    def command(self, data: str) -> str:
        """What runs it, or goes on with it."""
        sizes = ("--epochs", str(self.epochs), "--seeds", "2", "--set", f"data.limit={self.images}")
        place = ("--data", data, "--workspace", str(WORKSPACE))
        return shlex.join(["candor", "search", self.experiment, *place, *sizes, *self.arguments])


EMOTIONS = ("--set", 'data.classes=["angry", "happy", "sad"]')
STUDIES = (
    Reduced("conv_stages", 5000, 6, FLIP, "flips alone, batches of 32"),
    Reduced("dense_layers", 5000, 6, FLIP, "flips alone, batches of 32"),
    Reduced("kernels_and_neurons", 1000, 3, FLIP, "flips alone, batches of 32"),
    Reduced(
        "inception_wiring",
        300,
        2,
        ("--set", "recipe.batch_size=32"),
        "batches of 32; official FER-2013 split",
    ),
    Reduced("basic_vs_lenet", 5000, 6, (), "official FER-2013 split; both train alike"),
    Reduced("reference_cnn", 5000, 6, (), "widths are ours: none are given"),
    Reduced("custom_vs_pretrained", 300, 2, (), "random weights: Keras has no trained ones"),
    Reduced(
        "lenet5_three_emotions", 1200, 4, EMOTIONS, "three classes of FER-2013; its own images are not public"
    ),
    Reduced("ladder_rungs", 1200, 3, (), "one crop, random weights"),
)
