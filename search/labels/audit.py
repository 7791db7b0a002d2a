"""What `candor audit --labels` leaves behind: a page with the suspects, labels.csv and labels.json."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from search.datasets.audit.findings import percent
from search.datasets.audit.galleries import data_uri
from search.datasets.cache.prepared import Part, Prepared
from search.labels.out_of_fold import EPOCHS, FOLDS, SEEDS, OutOfFold, out_of_fold
from search.labels.suspects import Suspects, class_pairs, find_suspects
from search.safety.output import OutputFolder
from search.safety.paths import file_name
from search.safety.text import csv_file, csv_row, html

PAGE: Final = "labels.html"
TABLE: Final = "labels.csv"
FACTS: Final = "labels.json"
PAIRS: Final = 12  # pairs of classes with pictures
IN_PAIR: Final = 14  # pictures of a pair
_STRONG: Final = 0.9  # accuracy of networks whose estimate of the share is near the truth
_SAID: Final = 3  # pairs of classes in a sentence
_TEMPLATE: Final = Path(__file__).with_name("page.html")


@dataclass(frozen=True)
class LabelAudit:
    """The suspects among the training and validation images of one data set.

    `parts`: text (n,), the part of each image that was predicted.
    """

    data: Prepared
    predicted: OutOfFold
    parts: NDArray[np.str_]
    suspects: Suspects

    @property
    def pairs(self) -> list[tuple[str, str, int]]:
        """Given class, suggested class and number of suspects, the most frequent first."""
        names = self.data.class_names
        given = self.predicted.labels[self.suspects.rows]
        counted = class_pairs(given, self.suspects.suggested, len(names))
        return [(names[one], names[other], count) for one, other, count in counted]

    @property
    def share_is_known(self) -> bool:
        """Whether the networks are strong enough for an estimate of the share of wrong labels.

        Networks that are right in three of four images made it three times the truth on drawn faces.
        """
        return self.predicted.accuracy >= _STRONG

    def sentences(self) -> list[str]:
        """Say how many labels are doubtful, where, and how far the networks can be trusted."""
        found, total = len(self.suspects), len(self.parts)
        name, suspects = self.data.name, self.suspects
        said = [
            f"{found:,} of {name}'s {total:,} training and validation labels ({percent(found, total)}) are "
            f"doubtful: networks that had not seen the image are confident of another class.",
            f"Confident learning estimates that {suspects.share:.1%} of these labels are wrong (95% interval "
            f"over images {suspects.low:.1%} to {suspects.high:.1%})."
            if self.share_is_known
            else "How many labels are wrong cannot be estimated: the networks are too weak, and confident "
            "learning would count hard images as wrong.",
        ]
        if self.pairs:
            often = ", ".join(
                f"{one} that may be {other} ({count:,})" for one, other, count in self.pairs[:_SAID]
            )
            said.append(f"Most often: {often}.")
        said.append(
            f"The networks give the label that stands there to {self.predicted.accuracy:.1%} of the images; "
            "the lower this is, the more suspects are only hard. Look at them before you change anything. "
            "The sealed test part took no part."
        )
        return said

    def facts(self) -> dict[str, Any]:
        """Return the counts and the estimate, for JSON."""
        suspects = self.suspects
        return {
            "name": self.data.name,
            "source": self.data.source,
            "digest": self.data.digest,
            "split_digest": self.data.split_digest,
            "images": len(self.parts),
            "suspects": len(suspects),
            "suspects_by_part": {
                part: int((self.parts[suspects.rows] == part).sum()) for part in ("train", "validation")
            },
            "wrong_share": suspects.share if self.share_is_known else None,
            "wrong_share_low": suspects.low if self.share_is_known else None,
            "wrong_share_high": suspects.high if self.share_is_known else None,
            "accuracy_of_networks": self.predicted.accuracy,
            "folds": FOLDS,
            "epochs": EPOCHS,
            "seeds": list(SEEDS),
            "pairs": [{"given": a, "suggested": b, "suspects": count} for a, b, count in self.pairs],
        }


def audit_labels(data: Prepared, cache: Path, log: Path, say: Callable[[str], None] = print) -> LabelAudit:
    """Find the doubtful labels of a data set; its test part takes no part.

    Args:
        data: The images.
        cache: The folder of prepared data sets, where predictions are kept too.
        log: Where training processes write what libraries print.
        say: Shows a sentence to the user.

    Returns:
        The suspects, with what they rest on.

    Raises:
        UserError: If a class has too few images for the folds.
    """
    predicted = out_of_fold(data, cache, log, say)
    in_validation = np.isin(predicted.ids, data.validation().ids)
    parts = np.where(in_validation, "validation", "train")
    return LabelAudit(
        data, predicted, parts, find_suspects(predicted.labels, predicted.probabilities, predicted.groups)
    )


def write_label_audits(audits: Sequence[LabelAudit], out: Path, *, force: bool = False) -> list[Path]:
    """Write a page, a table and the counts of each audit; of several, into a folder each.

    Args:
        audits: One for each data set.
        out: The folder to write to.
        force: Whether to overwrite files that Candor did not write.

    Returns:
        The pages.

    Raises:
        UserError: If `out` cannot be written or holds a file of somebody else's.
    """
    pages = []
    with OutputFolder(out, force=force) as files, TemporaryDirectory() as folder:
        for number, audit in enumerate(audits, start=1):
            alike = sum(other.data.name == audit.data.name for other in audits) > 1
            own = file_name(f"{audit.data.name}-{number}" if alike else audit.data.name)
            below = Path(folder) if len(audits) == 1 else Path(folder) / own
            below.mkdir(exist_ok=True)
            _write(audit, below)
            pages.append(out / below.relative_to(folder) / PAGE)
        files.take(Path(folder))
    return pages


def _write(audit: LabelAudit, folder: Path) -> None:
    (folder / FACTS).write_text(json.dumps(audit.facts(), indent=1, ensure_ascii=False), encoding="utf-8")
    (folder / TABLE).write_bytes(csv_file(_table(audit)).encode())
    (folder / PAGE).write_text(_page(audit), encoding="utf-8")


def _table(audit: LabelAudit) -> str:
    """One line for each image: suspects first, the most doubtful at the top."""
    suspects, predicted, names = audit.suspects, audit.predicted, audit.data.class_names
    doubtful = np.isin(np.arange(len(audit.parts)), suspects.rows)
    order = np.argsort(suspects.quality, kind="stable")
    order = np.concatenate([suspects.rows, order[~doubtful[order]]])
    best = predicted.probabilities.argmax(1)
    with io.StringIO() as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(
            ("id", "part", "given", "suggested", "probability_given", "probability_suggested", "suspect")
        )
        for row in order.tolist():
            writer.writerow(
                csv_row(
                    (
                        predicted.ids[row],
                        audit.parts[row],
                        names[predicted.labels[row]],
                        names[best[row]],
                        f"{suspects.quality[row]:.4f}",
                        f"{predicted.probabilities[row, best[row]]:.4f}",
                        "yes" if doubtful[row] else "no",
                    )
                )
            )
        return text.getvalue()


def _page(audit: LabelAudit) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=html
    )
    environment.filters["thousands"] = lambda number: f"{number:,}"
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        data=audit.data,
        facts=audit.facts(),
        sentences=audit.sentences(),
        table=_crossed(audit),
        pairs=_shown_pairs(audit),
    )


def _crossed(audit: LabelAudit) -> list[list[int]]:
    """Suspects by given (rows) and suggested class (columns)."""
    count = len(audit.data.class_names)
    table = np.zeros((count, count), np.int64)
    np.add.at(table, (audit.predicted.labels[audit.suspects.rows], audit.suspects.suggested), 1)
    return [[int(number) for number in row] for row in table]


def _shown_pairs(audit: LabelAudit) -> list[dict[str, Any]]:
    """The pictures of the most frequent pairs of classes, the most doubtful first."""
    names, suspects, labels = audit.data.class_names, audit.suspects, audit.predicted.labels
    stored = {"train": audit.data.train(), "validation": audit.data.validation()}
    shown = []
    for one, other, count in audit.pairs[:PAIRS]:
        chosen = (labels[suspects.rows] == names.index(one)) & (suspects.suggested == names.index(other))
        tiles = []
        for row in suspects.rows[chosen][:IN_PAIR].tolist():
            name, part = str(audit.predicted.ids[row]), str(audit.parts[row])
            tiles.append(
                {
                    "picture": data_uri(_image(stored[part], name)),
                    "name": name,
                    "part": part,
                    "given": f"{suspects.quality[row]:.0%}",
                    "suggested": f"{audit.predicted.probabilities[row].max():.0%}",
                }
            )
        shown.append({"given": one, "suggested": other, "count": count, "tiles": tiles})
    return shown


def _image(part: Part, name: str) -> NDArray[np.uint8]:
    """The image of a part with this id; ids are sorted."""
    image: NDArray[np.uint8] = part.images[int(np.searchsorted(part.ids, name))]
    return image
