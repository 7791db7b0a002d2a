"""What can be believed of numbers that others published: one run each, and often no word on the images."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports import statistics

#: Share of images on which one of two networks is right and the other is not, as seen between networks of
#: like accuracy on FER-2013. Published rows come without predictions, so it has to be assumed.
DISAGREEMENT = 0.2
#: Two-sided 5% point of the normal distribution.
NORMAL = 1.96
#: A row whose note says so is the one its authors chose.
CHOSEN = "chosen"


@dataclass(frozen=True)
class _Row:
    """A published accuracy on the set that ranks it: validation if there is one, else test."""

    name: str
    accuracy: float
    images: int | None
    split: str
    chosen: bool

    def told(self) -> str:
        if self.images is None:
            return f"{self.name} ({100 * self.accuracy:.1f}%)"
        low, high = statistics.wilson(self.accuracy, self.images)
        return (
            f"{self.name} ({100 * self.accuracy:.1f}%, 95% interval {100 * low:.1f} to {100 * high:.1f} "
            f"from {self.images:,} {self.split} images)"
        )


def published_sentences(published: Sequence[Mapping[str, Any]]) -> list[str]:
    """For each group of published rows: its claimed winner against the runner-up, and its known leaks."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in published:
        groups.setdefault(row.get("group") or "", []).append(row)
    return [sentence for group, rows in groups.items() for sentence in _of_group(group, rows)]


def _of_group(group: str, published: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    opening = f"Published, {group}: " if group else "Published: "
    rows = sorted(_rows(published), key=lambda row: (not row.chosen, -row.accuracy))
    if len(rows) == 1:
        yield f"{opening}{rows[0].told()}."
    elif rows:
        claimed, rival = rows[0], max(rows[1:], key=lambda row: row.accuracy)
        verb = "was chosen" if claimed.chosen else "leads"
        yield f"{opening}{claimed.told()} {verb}, against {rival.told()}: {_weighed(claimed, rival)}."
    for leak, count in Counter(row["leak"] for row in published if row.get("leak")).items():
        yield f"{opening}known leak in {count} of {len(published)} rows: {leak}."


def _rows(published: Sequence[Mapping[str, Any]]) -> Iterator[_Row]:
    """Rows of a group that can be ranked together: by validation accuracy where any row has one."""
    validated = any(_known(row.get("val_accuracy")) for row in published)
    accuracy, images, split = (
        ("val_accuracy", "n", "validation") if validated else ("test_accuracy", "n_test", "test")
    )
    for row in published:
        if _known(row.get(accuracy)):
            chosen = CHOSEN in (row.get("note") or "")
            yield _Row(str(row["architecture"]), float(row[accuracy]), row.get(images), split, chosen)


def _known(value: Any) -> bool:
    return value is not None and not math.isnan(value)


def _weighed(claimed: _Row, rival: _Row) -> str:
    points = 100 * (claimed.accuracy - rival.accuracy)
    lead = f"{points:+.1f} points"
    if claimed.images is None or rival.images is None:
        nameless = " and ".join(row.name for row in (claimed, rival) if row.images is None)
        return f"{lead}; without the number of images behind {nameless} the noise is unknown"
    noise, source = _noise(claimed.accuracy, claimed.images, rival.accuracy, rival.images)
    if abs(points) <= noise:
        return f"{lead}, not more than {noise:.1f} points, {source}: their order proves nothing"
    unknown = "with one run each, what other seeds would give is unknown"
    return f"{lead}, more than {noise:.1f} points, {source}; {unknown}"


def _noise(a: float, images_a: int, b: float, images_b: int) -> tuple[float, str]:
    """The noise of the difference in points, and of what. Sets of one size count as one set."""
    if images_a == images_b:
        noise = statistics.noise_of_one_run(images_a, DISAGREEMENT)
        return (
            100 * noise,
            f"the noise of two runs that disagree on {100 * DISAGREEMENT:.0f}% of these images",
        )
    variance = a * (1.0 - a) / images_a + b * (1.0 - b) / images_b
    return 100 * NORMAL * math.sqrt(variance), "the noise of two runs on different images"
