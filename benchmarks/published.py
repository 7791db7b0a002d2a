"""The published numbers beside ours, from packed studies: docs/published.md.

    python -m benchmarks.published commands fer2013.zip     the commands, one a study, to be run in any order
    python -m benchmarks.published pack                     packs each finished study into experiments/records
    python -m benchmarks.published write                    writes the document from experiments/records

A study that was stopped goes on where it ended. An experiment that has no record yet is said not to have been
run. What differs from the published training is said above every part.
"""

import argparse
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.schema.experiment import ExperimentConfig
from reports.analysis import Analysis, analyse
from reports.records.frames import records
from reports.records.study import StudyRecords, load_study
from reports.rows import comparison_rows
from reports.statistics import wilson
from search.archives.container import SUFFIX
from search.tracking import names
from search.workspace import Workspace

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "published.md"
RECORDS = ROOT / "experiments" / "records"
_EMOTIONS = ("--set", 'data.classes=["angry", "happy", "sad"]')
_EPOCHS = ("--epochs", "50")
_HEADING = (
    "| Published | Validation, % | Test, % | Ours | Parameters | Validation, % | Seeds | Epochs | Train, % "
    "| Hours |\n|---|---:|---:|---|---:|---:|---:|---:|---:|---:|"
)


@dataclass(frozen=True)
class RealSize:
    """One experiment on all training images; `differs`: from what was published, beyond images and seeds."""

    experiment: str
    differs: str
    arguments: tuple[str, ...] = _EPOCHS

    @property
    def record(self) -> Path:
        """Its packed study."""
        return RECORDS / f"{self.experiment}{SUFFIX}"

    def command(self, data: str, workspace: Path) -> str:
        """What runs it, or goes on with it."""
        place = ("--data", data, "--workspace", str(workspace))
        return shlex.join(["candor", "search", self.experiment, *place, *self.arguments])


STUDIES = (
    RealSize("conv_stages", "at most 50 epochs; the validation images are PublicTest"),
    RealSize("dense_layers", "at most 50 epochs; the validation images are PublicTest"),
    RealSize("basic_vs_lenet", "both train alike; the validation images are PublicTest", ()),
    RealSize("kernels_and_neurons", "at most 50 epochs; the validation images are PublicTest"),
    RealSize("reference_cnn", "the widths are ours, since none are given", ()),
    RealSize("augmentation", "at most 50 epochs; the validation images are PublicTest"),
    RealSize("inception_vs_plain", "of equal size; the validation images are PublicTest"),
    RealSize("inception_wiring", "the validation images are PublicTest"),
    RealSize("custom_vs_pretrained", "random first weights: Keras has no trained ones of these"),
    RealSize(
        "lenet5_three_emotions",
        "three classes of FER-2013, resized: its own photographs are not public",
        (*_EPOCHS, *_EMOTIONS),
    ),
    RealSize("ladder_rungs", "one crop, no weights from other images; validation, not PrivateTest"),
)


def main() -> None:
    """Print the commands, pack the studies, or write the document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("commands", "pack", "write"), default="commands")
    parser.add_argument("data", nargs="?", default="fer2013.zip", help="the images, for the commands")
    parser.add_argument("--workspace", type=Path, default=Path("runs/published"))
    asked = parser.parse_args()
    if asked.what == "commands":
        print("\n".join(one.command(asked.data, asked.workspace) for one in STUDIES))
    elif asked.what == "pack":
        _pack(asked.workspace)
    else:
        DOCUMENT.write_text(document(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")


def document(before: str) -> str:
    """The document written anew below its opening.

    Args:
        before: The document as it is: an opening, then parts that begin with "## ".

    Returns:
        The opening, and a part for each experiment: from its record, or what is published and how to run it.
    """
    opening = before.partition(f"\n## {STUDIES[0].experiment}\n")[0].rstrip()
    written = (part(one, one.record) if one.record.is_file() else _not_run(one) for one in STUDIES)
    return "\n\n".join([opening, *("\n".join(lines).rstrip() for lines in written)]) + "\n"


def part(one: RealSize, record: Path) -> Iterator[str]:
    """The lines of one experiment: how it was run, a row for each published one, and what follows."""
    analysis = analyse(load_study(str(record)))
    study = analysis.study
    yield f"## {one.experiment}\n\n{study.about.get('question', '')}\n"
    yield f"Ours: {_how(analysis)} Differs: {one.differs}. Record: `experiments/records/{record.name}`.\n"
    yield f"    {one.command('fer2013.zip', Path('runs/published'))}\n"
    yield _HEADING
    ours = list(_candidates(analysis))
    shown: set[str] = set()
    for row in study.about.get("published") or []:
        found = [run for run in ours if _stands_for(run, row)]
        shown |= {run["candidate"] for run in found}
        yield from _lines(row, found)
    for run in ours:
        if run["candidate"] not in shown:
            yield "| | | | " + _own(run)
    yield "\n" + " ".join(_conclusions(analysis)) + "\n"


def _not_run(one: RealSize) -> Iterator[str]:
    """The published rows alone, and the command that would stand beside them."""
    experiment = ExperimentConfig.load(one.experiment)
    yield f"## {one.experiment}\n\n{experiment.question}\n"
    yield "Not run on all images yet. The command:\n"
    yield f"    {one.command('fer2013.zip', Path('runs/published'))}\n"
    yield "| Published | Validation, % | Test, % |\n|---|---:|---:|"
    for row in (published.model_dump() for published in experiment.published):
        yield f"| {row['architecture']} | {_percent(row['val_accuracy'], row['n'])} | {_test(row)} |"


def _pack(workspace: Path) -> None:
    from experiments.workflows.records.pack import pack
    from experiments.workflows.records.runs import stored_studies
    from experiments.workflows.study.context import RunContext

    place = Workspace.at(workspace)
    RECORDS.mkdir(exist_ok=True)
    held = {one.experiment: one for one in reversed(stored_studies(place, place.tracking_uri))}
    for one in STUDIES:
        if one.experiment in held:
            file = pack(held[one.experiment], RunContext(place), one.record, pictures=False)
            print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")


def _how(analysis: Analysis) -> str:
    study = analysis.study
    protocol, counts = study.protocol, study.data.get("counts") or {}
    hours = float(study.evaluations.seconds.sum()) / 3600
    return (
        f"{counts.get('train', 0):,} training and {counts.get('validation', 0):,} validation images of "
        f"{study.data.get('name')}{_folds(study)}, at most {protocol['epochs']} epochs, "
        f"{study.about.get('precision')}, {hours:.1f} hours of training in all."
    )


def _folds(study: StudyRecords) -> str:
    return f" in {study.folds} folds of all of them" if study.folds else ""


def _candidates(analysis: Analysis) -> Iterator[dict[str, Any]]:
    """Every confirmed candidate as the comparison has it, with its augmentation."""
    frame = comparison_rows(analysis)
    settings = analysis.study.settings
    for row in records(frame[(frame.stage == names.CONFIRM) & frame.val_accuracy.notna()]):
        row["augmentation"] = str(settings.loc[row["run_id"]].get("recipe.augmentation", ""))
        yield row


def _stands_for(run: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether a candidate of ours is what a published row describes."""
    if row.get("family") is None:
        return row.get("group") == "reference" and row.get("test_accuracy") is None
    if (run["family"], run["variant"]) != (row["family"], row.get("variant") or ""):
        return False
    if "augmentation" not in row["architecture"]:
        return True
    return run["augmentation"] == ("none" if "no augmentation" in row["architecture"] else "published")


def _lines(row: Mapping[str, Any], found: list[dict[str, Any]]) -> Iterator[str]:
    told = f"| {row['architecture']} | {_percent(row.get('val_accuracy'), row.get('n'))} | {_test(row)} | "
    if not found:
        reason = "not run" if row.get("variant") else f"nothing of ours to run: {row.get('note') or ''}"
        yield f"{told}{reason} | | | | | | |"
    for run in found:
        yield told + _own(run)
        told = "| | | | "


def _own(run: Mapping[str, Any]) -> str:
    low, high = run["val_accuracy_ci_low"], run["val_accuracy_ci_high"]
    interval = f" ({100 * low:.1f} to {100 * high:.1f})" if low == low else ""
    hours = run["n_seeds"] * run["seconds"] / 3600
    return (
        f"{run['architecture']} | {run['parameters']:,.0f} | {100 * run['val_accuracy']:.1f}{interval} | "
        f"{run['n_seeds']} | {run['epochs']:.0f} | {100 * run['train_clean_accuracy']:.1f} | {hours:.1f} |"
    )


def _conclusions(analysis: Analysis) -> Iterator[str]:
    """What the report says of our own candidates."""
    for sentence in analysis.sentences:
        if not sentence.startswith(("Asked: ", "Published")):
            yield sentence


def _test(row: Mapping[str, Any]) -> str:
    return _percent(row.get("test_accuracy"), row.get("n_test")) + (
        f" ({row['leak']})" if row.get("leak") else ""
    )


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
