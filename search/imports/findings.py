"""What is wrong with records, whatever their source: each finding is a sentence of the report."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from search.imports.evaluations import Result, Results
from search.imports.roles import Roles
from search.imports.table import Table

#: Two shares of different runs that agree in so many digits after the point are worth a word.
_DIGITS: Final = 5
#: Keras computes shares in float32.
_FLOAT32: Final = 1e-7
_MANY: Final = 10  # single runs from which the best one is surely picked by luck as well


def findings(results: Results, roles: Roles, table: Table) -> Iterator[str]:
    """What is wrong with records.

    Args:
        results: The evaluations.
        roles: What the source's columns are.
        table: What the source holds.
    """
    rows = results.complete
    yield from _of_splits([one.metrics for one in rows])
    yield from _of_images(results)
    yield from _of_epochs(rows, roles)
    yield from _of_seeds(results, roles)
    yield from _of_copies(results)
    ended = len(results.evaluations) - len(rows)
    if ended:
        yield (
            f"{ended} runs did not come to their end (pruned or failed): they are listed and take part in no "
            "comparison"
        )
    if table.settings is None and roles.candidate and len(results.candidates) == len(rows) > _MANY:
        many = [name for name in roles.candidate if len({row[name] for row in table.rows}) == len(table.rows)]
        if many:
            yield (
                f"each row has a value of its own in `{many[0]}`: if that is a result and no setting, name "
                "the "
                "settings with --candidate"
            )


def _of_splits(rows: Sequence[Mapping[str, float]]) -> Iterator[str]:
    both = [one for one in rows if {"val_accuracy", "test_accuracy"} <= one.keys()]
    equal = sum(one["val_accuracy"] == one["test_accuracy"] for one in both)
    above = sum(one["test_accuracy"] > one["val_accuracy"] for one in both)
    if equal:
        yield f"test equals validation in {equal} of {len(both)} rows: one of the two was not measured"
    if len(both) >= 4 and above >= 0.9 * len(both):
        count = f"all {len(both)}" if above == len(both) else f"{above} of {len(both)}"
        yield f"test is above validation in {count} rows: the test images were probably trained on"
    train = [one for one in rows if {"val_accuracy", "train_accuracy"} <= one.keys()]
    below = sum(one["train_accuracy"] < one["val_accuracy"] for one in train)
    if below:
        yield (
            f"train is below validation in {below} of {len(train)} rows: it was probably measured with "
            "augmentation and dropout, so it says nothing about overfitting"
        )


def _of_images(results: Results) -> Iterator[str]:
    if results.images is None:
        yield "nobody says how many validation images there were: no interval can be given for one run"
        return
    broken = [
        one for one in results.complete if not _is_possible(one.metrics["val_accuracy"], results.images)
    ]
    if broken:
        first = broken[0]
        yield (
            f"{len(broken)} of {len(results.complete)} validation accuracies are no share of "
            f"{results.images:,} images ({first.where}: {first.metrics['val_accuracy']:.8g}): they are "
            "means over "
            "several runs, or the number of images is another"
        )


def _is_possible(share: float, images: int) -> bool:
    """Whether so many images can have this share of right answers, given its digits."""
    text = f"{share:.9f}".rstrip("0")
    digits = len(text.partition(".")[2])
    rounding = 0.5 * 10.0**-digits if digits < 7 else 0.0
    return abs(share * images - round(share * images)) <= images * (rounding + _FLOAT32) + 1e-9


def _of_epochs(rows: Sequence[Result], roles: Roles) -> Iterator[str]:
    """Scores that are the best of several epochs, on the split that chose the epoch."""
    column = roles.scores.get("val_accuracy", "")
    if any(word in column.lower() for word in ("best", "max")):
        yield (
            f"`{column}` is named after the best epoch: the epoch was chosen on the split that is "
            "reported, so "
            "scores are optimistic"
        )
    with_curve = [(one, [value for _, value in one.curves.get("val_accuracy", ())]) for one in rows]
    long = [(one, values) for one, values in with_curve if len(set(values)) > 1]
    best = sum(
        abs(one.metrics["val_accuracy"] - max(values)) < _FLOAT32 and values[-1] < max(values)
        for one, values in long
    )
    if best:
        yield (
            f"the validation accuracy is that of the best epoch in {best} of {len(long)} runs: the epoch was "
            "chosen on the split that is reported, so scores are optimistic"
        )


def _of_seeds(results: Results, roles: Roles) -> Iterator[str]:
    groups = results.candidates
    known = roles.seed is not None or bool(roles.wide)
    by_fold = "fold" in (roles.seed or "").lower() or any(
        "fold" in column.lower() for own in roles.wide.values() for _, column in own
    )
    if by_fold:
        yield (
            "runs differ by fold: each was judged on other images and shares training images with the "
            "others, "
            "so they are no independent seeds"
        )
    if not known and any(len(group) > 1 for group in groups):
        yield "seeds are not recorded: rows of one candidate are counted as its seeds"
    if all(len(group) == 1 for group in groups):
        yield "each candidate was trained once: the noise between seeds is unknown"
        if len(groups) >= _MANY:
            yield (
                f"the best of {len(groups)} candidates was picked by the score that is shown: it would be "
                "lower "
                "on new images"
            )
    if any(one.predictions for one in results.complete):
        seeds = {tuple(one.seed for one in group) for group in groups if len(group) > 1}
        if known and len(seeds) > 1:
            yield "candidates have different seeds: only seeds that both have are compared"


def _of_copies(results: Results) -> Iterator[str]:
    for group in results.candidates:
        scores = [tuple(sorted(one.metrics.items())) for one in group]
        accuracies = {one.metrics["val_accuracy"] for one in group}
        if len(group) > 1 and (len(set(scores)) < len(scores) and len(scores[0]) > 1):
            yield f"runs of {group[0].label} have exactly the same numbers: copies, or the seed has no effect"
            break
        if len(group) > 2 and len(accuracies) == 1:
            yield f"all runs of {group[0].label} have the same validation accuracy: check that seeds differ"
            break
    values = [round(one.metrics["val_accuracy"], _DIGITS) for one in results.complete]
    counts = Counter(value for value in values if value != round(value, 2))
    if counts:
        usual, often = counts.most_common(1)[0]
        if often > max(2, len(values) // 5):
            yield (
                f"{often} rows have the validation accuracy {usual:.{_DIGITS}f}: copies, or networks that "
                "learnt nothing"
            )
