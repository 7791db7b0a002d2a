"""Rows become evaluations: one candidate, one seed, its scores, its state."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from search.imports.evaluations import Result, Results, canonical, grouped
from search.imports.findings import findings
from search.imports.roles import SHARES, Roles
from search.imports.table import Table
from search.tracking import names
from spaces.errors import UserError

#: A recorded accuracy and that of the predictions agree, if they differ by rounding alone.
_ROUNDING: Final = 6e-4
_SHOWN: Final = 12  # headings in one line


def results_of(
    table: Table, roles: Roles, images: int | None = None, test_images: int | None = None
) -> Results:
    """The evaluations of a table.

    Args:
        table: The table.
        roles: What its columns are.
        images: The number of validation images, where the person says it; it overrides a column.
        test_images: The number of test images, likewise.

    Returns:
        The evaluations, how they were understood, and what is wrong with them.

    Raises:
        UserError: A cell is no number, a share is not between 0 and 1, percentages and shares are mixed, the
            numbers of images differ, a candidate has one seed twice, or predictions contradict the scores.
    """
    percent = {column for column in _share_columns(roles) if _in_percent(table, column)}
    rows = [one for row in range(len(table.rows)) for one in _of_row(table, roles, percent, row)]
    found = [one for one in rows if one.state != names.COMPLETE or "val_accuracy" in one.metrics]
    if not any(one.state == names.COMPLETE for one in found):
        raise UserError(f"{table.source} has no complete run with a validation accuracy")
    _check_sizes(table, roles, found)
    known = roles.seed is not None or bool(roles.wide)
    numbered = tuple(_labelled(table, roles, list(_with_seeds(found, known, table))))
    judged = _check_predictions(table, numbered)
    if images and judged and images != judged:
        raise UserError(
            f"{table.source}: the predictions are of {judged:,} images. Received --images {images}"
        )
    images = judged or images or _images(table, roles.images)
    test_images = test_images or _images(table, roles.test_images)
    results = Results(numbered, images, test_images)
    left_out = len(rows) - len(found)
    told = list(findings(results, roles, table))
    if left_out:
        told.append(f"{left_out} of {len(rows)} rows have no validation accuracy and are left out")
    guess = (*_guess(table, roles, results, percent), *table.guess)
    return replace(results, guess=guess, findings=(*table.findings, *told))


def _labelled(table: Table, roles: Roles, found: Sequence[Result]) -> Iterator[Result]:
    """Evaluations with a label: of many hyperparameters only those that vary."""
    complete = [one for one in found if one.state == names.COMPLETE]
    varying = [
        name
        for name in roles.candidate
        if len({canonical(one.candidate.get(name, "")) for one in complete}) > 1
    ]
    shown = varying if table.settings is not None and varying else list(roles.candidate)
    for one in found:
        told = [f"{name} {_shown(one.candidate[name])}" for name in shown if name in one.candidate]
        yield replace(one, label=", ".join(told) or table.name or "the only candidate")


def _shown(text: str) -> str:
    """A setting as people read it: fractions to four digits."""
    try:
        number = float(text)
    except ValueError:
        return text[:60]
    return f"{number:.4g}" if len(text) > 6 and number != round(number) else text


def _check_sizes(table: Table, roles: Roles, found: Sequence[Result]) -> None:
    """Raises UserError where runs of one candidate have networks of different size."""
    for group in grouped(found).values():
        sizes = sorted({one.metrics["parameters"] for one in group if "parameters" in one.metrics})
        if len(sizes) > 1:
            told = ", ".join(f"{name} {value}" for name, value in group[0].candidate.items())
            raise UserError(
                f"{table.source}: the runs of {told} have `{roles.facts['parameters']}` from "
                f"{sizes[0]:,.0f} to "
                f"{sizes[-1]:,.0f}, so they are not one candidate: name what tells candidates apart with "
                "--candidate"
            )


def _check_predictions(table: Table, found: Sequence[Result]) -> int | None:
    """The number of images in the predictions. Raises UserError where runs disagree about the images."""
    held = [(one, one.predictions) for one in found if one.predictions is not None]
    if not held:
        return None
    first, own = held[0]
    for one, other in held[1:]:
        if len(own.labels) != len(other.labels) or set(own.ids.tolist()) != set(other.ids.tolist()):
            raise UserError(
                f"{table.source}: the predictions of {first.where} ({len(own.labels):,} images) and of "
                f"{one.where} ({len(other.labels):,}) are of other images: they cannot be compared"
            )
        if own.probabilities.shape[1] != other.probabilities.shape[1]:
            raise UserError(
                f"{table.source}: {first.where} and {one.where} have different numbers of classes"
            )
        if dict(zip(own.ids.tolist(), own.labels.tolist(), strict=True)) != dict(
            zip(other.ids.tolist(), other.labels.tolist(), strict=True)
        ):
            raise UserError(
                f"{table.source}: the labels of {first.where} and of {one.where} differ: the rows of the two "
                "files are not the same images in the same order"
            )
    return len(own.labels)


def _share_columns(roles: Roles) -> list[str]:
    wide = [column for score, columns in roles.wide.items() if _is_share(score) for _, column in columns]
    return [column for score, column in roles.scores.items() if _is_share(score)] + wide


def _is_share(score: str) -> bool:
    return score.partition("_")[2] in SHARES


def _in_percent(table: Table, column: str) -> bool:
    """Whether a column of shares holds percentages. Raises UserError where it holds both, or neither."""
    values = [
        (row, value)
        for row in range(len(table.rows))
        if (value := table.number(row, column)) is not None and not table.rows[row][column].endswith("%")
    ]
    wrong = next((pair for pair in values if not 0 <= pair[1] <= 100), None)
    if wrong:
        raise UserError(
            f'{table.source}, {table.places[wrong[0]]}: "{column}" should be a share or a percentage. '
            f"Received: {wrong[1]:g}"
        )
    large = [row for row, value in values if value > 1]
    small = [row for row, value in values if 0 < value <= 1]
    if large and small:
        raise UserError(
            f'{table.source}: "{column}" mixes percentages ({table.places[large[0]]}) and shares '
            f"({table.places[small[0]]}): write all of them in one way"
        )
    return bool(large)


def _of_row(table: Table, roles: Roles, percent: set[str], row: int) -> Iterator[Result]:
    """The evaluations of one row: one, or one for each seed that has a column."""
    cells = table.rows[row]
    candidate = {column: cells[column] for column in roles.candidate if cells[column]}
    common = {score: _value(table, row, column, percent) for score, column in roles.scores.items()}
    common |= {fact: table.number(row, column) for fact, column in roles.facts.items()}
    seeds = sorted({seed for columns in roles.wide.values() for seed, _ in columns})
    if not seeds:
        seed = 0 if row in table.states else _seed(table, row, roles.seed)
        yield _result(table, row, candidate, seed, common, table.places[row])
    for seed in seeds:
        own = {
            score: _value(table, row, dict(columns)[seed], percent)
            for score, columns in roles.wide.items()
            if seed in dict(columns)
        }
        if own.get("val_accuracy", common.get("val_accuracy")) is not None:
            where = f"{table.places[row]}, seed {seed}"
            yield _result(table, row, candidate, seed, common | own, where)


def _result(
    table: Table,
    row: int,
    candidate: Mapping[str, str],
    seed: int,
    metrics: Mapping[str, float | None],
    where: str,
) -> Result:
    known = {name: value for name, value in metrics.items() if value is not None}
    said = table.predictions.get(row)
    if said is not None:
        recorded = known.get("val_accuracy", said.accuracy)
        if abs(recorded - said.accuracy) > _ROUNDING:
            raise UserError(
                f"{table.source}, {where}: the recorded validation accuracy is {recorded:.2%}, that of its "
                f"predictions {said.accuracy:.2%}: the labels are in another order, or of other images"
            )
        known["val_accuracy"] = said.accuracy
    state = table.states.get(row, names.COMPLETE)
    more: dict[str, Any] = {"state": state, "reason": table.reasons.get(row, ""), "predictions": said}
    return Result(candidate, seed, known, where, curves=table.curves.get(row, {}), **more)


def _value(table: Table, row: int, column: str, percent: set[str]) -> float | None:
    value = table.number(row, column)
    scaled = column in percent and not table.rows[row][column].endswith("%")
    return value / 100 if value is not None and scaled else value


def _seed(table: Table, row: int, column: str | None) -> int:
    """The seed of a row: its number, or the number in its text; 0 where rows have none."""
    if column is None:
        return 0
    text = table.rows[row][column]
    found = re.search(r"\d+", text)
    if not found:
        raise UserError(
            f'{table.source}, {table.places[row]}: "{column}" should be a seed. Received: "{text[:60]}"'
        )
    return int(found[0]) % 2**31


def _with_seeds(found: Sequence[Result], seeds_known: bool, table: Table) -> Iterator[Result]:
    """Evaluations by candidate, seeds numbered where there are none. Raises UserError for a seed twice."""
    for group in grouped(found).values():
        complete = [one for one in group if one.state == names.COMPLETE]
        others = [one for one in group if one.state != names.COMPLETE]
        yield from (replace(one, seed=number) for number, one in enumerate(others, start=1))
        if not seeds_known:
            yield from (replace(one, seed=number) for number, one in enumerate(complete, start=1))
            continue
        held: dict[int, Result] = {}
        for one in complete:
            if one.seed in held:
                told = ", ".join(f"{name} {value}" for name, value in one.candidate.items())
                raise UserError(
                    f"{table.source}: {told} has seed {one.seed} twice ({held[one.seed].where} and "
                    f"{one.where}): leave one out, or name what else tells candidates apart with --candidate"
                )
            held[one.seed] = one
        yield from (held[seed] for seed in sorted(held))


def _images(table: Table, column: str | None) -> int | None:
    if column is None:
        return None
    numbers = (table.number(row, column) for row in range(len(table.rows)))
    values = {number for number in numbers if number is not None}
    if len(values) > 1:
        raise UserError(
            f'{table.source}: "{column}" has different numbers of images ({min(values):,.0f} to '
            f"{max(values):,.0f}): scores on different images cannot be compared; import them apart"
        )
    return int(values.pop()) if values else None


def _guess(table: Table, roles: Roles, results: Results, percent: set[str]) -> Iterator[str]:
    """How the table was understood."""
    seeds = sorted({len(group) for group in results.candidates})
    counted = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    by = f" by `{roles.seed}`" if roles.seed else " by column" if roles.wide else ""
    told = "1 run each" if seeds == [1] and not by else f"{counted} seed{'s' * (seeds != [1])} each{by}"
    varying = [
        name
        for name in roles.candidate
        if table.settings is None or len({one.candidate.get(name) for one in results.complete}) > 1
    ] or list(roles.candidate)
    count = len(results.candidates)
    yield f"{count} candidate{'s' * (count != 1)} by {_listed(varying)}; {told}"
    ended = Counter(one.state for one in results.evaluations if one.state != names.COMPLETE)
    if ended:
        yield (
            ", ".join(f"{number} {state}" for state, number in sorted(ended.items()))
            + ": listed, not compared"
        )
    by_seed = {score: ", ".join(column for _, column in own) for score, own in roles.wide.items()}
    columns = {**roles.scores, **by_seed}
    for score, column in columns.items():
        unit = " (in percent)" if percent & set(column.split(", ")) else ""
        judged = {"val": results.images, "test": results.test_images}.get(score.partition("_")[0])
        images = f", {judged:,} images" if judged else ""
        yield f"`{column}` is {score.replace('val_', 'validation ').replace('_', ' ')}{unit}{images}"
    for fact, column in roles.facts.items():
        yield f"`{column}` is {fact.replace('_', ' ')}"
    with_curves = sum(bool(one.curves) for one in results.evaluations)
    if with_curves:
        yield f"{with_curves} runs have scores by epoch"
    said = [one.predictions for one in results.complete if one.predictions is not None]
    if said:
        some = f"{len(said)} of {len(results.complete)}" if len(said) < len(results.complete) else "all"
        yield f"{some} runs have predictions of {len(said[0].labels):,} images"
        yield from dict.fromkeys(note for one in said for note in one.notes)
    if roles.ignored:
        yield f"not used: {_listed(roles.ignored)}"


def _listed(columns: Sequence[str]) -> str:
    """Headings, of many the first ones."""
    shown = ", ".join(f"`{name}`" for name in columns[:_SHOWN])
    return shown if len(columns) <= _SHOWN else f"{shown} and {len(columns) - _SHOWN} more"
