"""Every published row at a reduced size on real images, and the table of docs/published.md.

    python -m benchmarks.published commands fer2013.zip     the commands, one a study, to be run in any order
    python -m benchmarks.published table                    writes the table, from what MLflow holds of them

On two cores with AVX-512 bfloat16 the commands take half an hour together; one that was stopped goes on where
it ended. What is reduced, and what differs from the published training, is said above every part.
"""

import argparse
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.schema.experiment import ExperimentConfig
from experiments.schema.sections import Published
from reports.records.frames import records
from reports.records.study import StudyRecords, load_study
from reports.statistics import wilson
from search.tracking import names
from search.workspace import Workspace
from spaces.errors import UserError

DOCUMENT = Path(__file__).parents[1] / "docs" / "published.md"
BEGIN = "<!-- written by: python -m benchmarks.published table -->"
#: To turn by 30 degrees and shift by 40% needs a hundred epochs: with six, nothing would be learnt.
_FLIP = ("--set", "recipe.augmentation=flip", "--set", "recipe.batch_size=32")
_EMOTIONS = ("--set", 'data.classes=["angry", "happy", "sad"]')


@dataclass(frozen=True)
class Reduced:
    """One experiment, made small; `differs`: from what was published, beyond images, epochs and seeds."""

    experiment: str
    images: int
    epochs: int
    differs: str
    arguments: tuple[str, ...] = ()
    name: str = ""  # of a second study of one experiment
    only: str = ""  # the one variant whose row is shown

    def command(self, data: str, workspace: Path) -> str:
        """What runs it, or goes on with it."""
        sizes = ("--epochs", str(self.epochs), "--seeds", "2", "--set", f"data.limit={self.images}")
        place = ("--data", data, "--workspace", str(workspace))
        named = ("--set", f"name={self.name}") if self.name else ()
        return shlex.join(["candor", "search", self.experiment, *place, *sizes, *named, *self.arguments])


STUDIES = (
    Reduced(
        "conv_stages", 5000, 6, "flips alone, batches of 32; the validation images are PublicTest", _FLIP
    ),
    Reduced(
        "dense_layers", 5000, 6, "flips alone, batches of 32; the validation images are PublicTest", _FLIP
    ),
    Reduced(
        "kernels_and_neurons",
        1000,
        3,
        "flips alone, batches of 32; the validation images are PublicTest",
        _FLIP,
    ),
    Reduced(
        "kernels_and_neurons",
        100,
        1,
        "flips alone, batches of 32; the validation images are PublicTest",
        (*_FLIP, "--set", 'grid.variant=["plain_cnn.published_5", "plain_cnn.published_6"]'),
        name="kernels_widest",
        only="published_6",
    ),
    Reduced(
        "inception_wiring",
        100,
        1,
        "batches of 32; the validation images are PublicTest",
        ("--set", "recipe.batch_size=32"),
    ),
    Reduced("basic_vs_lenet", 5000, 6, "both train alike; the validation images are PublicTest"),
    Reduced("reference_cnn", 5000, 6, "the widths are ours, since none are given"),
    Reduced("custom_vs_pretrained", 200, 2, "random first weights: Keras has no trained ones of these"),
    Reduced(
        "lenet5_three_emotions",
        200,
        1,
        "three classes of FER-2013, resized: its own photographs are not public",
        _EMOTIONS,
    ),
    Reduced("ladder_rungs", 1200, 3, "one crop, no weights from other images; validation, not PrivateTest"),
)


def main() -> None:
    """Print the commands, or write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("commands", "table"), default="commands")
    parser.add_argument("data", nargs="?", default="fer2013.zip", help="the images, for the commands")
    parser.add_argument("--workspace", type=Path, default=Path("runs/published"))
    asked = parser.parse_args()
    if asked.what == "commands":
        print("\n".join(one.command(asked.data, asked.workspace) for one in STUDIES))
        return
    tracking = Workspace.at(asked.workspace).tracking_uri
    opening = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)[0]
    parts = (line for one in STUDIES for line in part(one, tracking))
    DOCUMENT.write_text(opening + BEGIN + "\n" + "\n".join(parts) + "\n", encoding="utf-8")


def part(one: Reduced, tracking: str) -> Iterator[str]:
    """The lines of one experiment: how it was run, and a row for each published one."""
    spec = ExperimentConfig.load(one.experiment)
    try:
        study = load_study(one.name or one.experiment, tracking)
    except UserError:
        study = None
    yield f"\n## {one.name or one.experiment}\n\n{spec.question}\n"
    yield (_how(study) if study else "Ours: not run yet. ") + f"Differs: {one.differs}.\n"
    yield f"    {one.command('fer2013.zip', Path('runs/published'))}\n"
    yield "| Published | Validation, % | Test, % | Ours | Parameters | Validation, %, by seed | Train, % |"
    yield "|---|---:|---:|---|---:|---:|---:|"
    runs = _candidates(study) if study else []
    for row in (row for row in spec.published if one.only in ("", row.variant)):
        yield from _lines(row, [run for run in runs if _stands_for(run, row, spec)])


def _how(study: StudyRecords) -> str:
    protocol, data = study.protocol, study.data
    counts = data["counts"]
    epochs = f"{protocol['epochs']} epoch" + "s" * (protocol["epochs"] > 1)
    return (
        f"Ours: {counts['train']:,} training and {counts['validation']:,} validation images of {data['name']}"
        f"{_folds(study)}, at most {epochs}, {protocol['seeds']} seeds, {study.about['precision']}. "
    )


def _folds(study: StudyRecords) -> str:
    folds = study.data.get("folds")
    return f" in {folds} folds of all of them" if folds else ""


def _candidates(study: StudyRecords) -> list[dict[str, Any]]:
    """Every confirmed candidate: its first run, its augmentation, its numbers by seed."""
    frame = study.evaluations
    frame = frame[(frame.stage == names.CONFIRM) & (frame.state == names.COMPLETE)]
    found = []
    for _, group in frame.groupby("candidate", sort=False):
        first = records(group)[0]
        recipe = study.settings.loc[first["run_id"]]
        first["augmentation"] = str(recipe["recipe.augmentation"])
        first["by_seed"] = list(group.sort_values("seed").val_accuracy)
        first["train"] = group.train_clean_accuracy.mean()
        found.append(first)
    return found


def _stands_for(run: dict[str, Any], row: Published, spec: ExperimentConfig) -> bool:
    """Whether a candidate of ours is what a published row describes."""
    if row.family is None:
        return row.group == "reference" and row.test_accuracy is None
    if (run["family"], run["variant"]) != (row.family, row.variant):
        return False
    if spec.name != "inception_wiring":
        return True
    return run["augmentation"] == ("none" if "no augmentation" in row.architecture else "published")


def _lines(row: Published, found: list[dict[str, Any]]) -> Iterator[str]:
    told = f"| {row.architecture} | {_percent(row.val_accuracy, row.n)} | {_test(row)} "
    if not found:
        reason = "not run at this size" if row.variant else f"nothing of ours to run: {row.note}"
        yield f"{told}| {reason} | | | |"
    for run in found:
        seeds = ", ".join(f"{100 * value:.1f}" for value in run["by_seed"])
        name = f"{run['label']}, augmentation {run['augmentation']}"
        yield told + f"| {name} | {run['parameters']:,.0f} | {seeds} | {100 * run['train']:.1f} |"
        told = "| | | "


def _test(row: Published) -> str:
    return _percent(row.test_accuracy, row.n_test) + (f" ({row.leak})" if row.leak else "")


def _percent(accuracy: float | None, images: int | None) -> str:
    """With the interval that the number of images gives, where it is known."""
    if accuracy is None:
        return "–"
    if images is None:
        return f"{100 * accuracy:.1f}"
    low, high = wilson(accuracy, images)
    return f"{100 * accuracy:.1f} ({100 * low:.1f} to {100 * high:.1f})"


if __name__ == "__main__":
    main()
