"""Rows become evaluations: one candidate, one seed, its scores; and what is wrong with the records."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from search.imports.roles import SHARES, Roles
from search.imports.table import Table
from spaces.errors import UserError

#: Two shares of different runs that agree in so many digits after the point are worth a word.
_DIGITS: Final = 5


@dataclass(frozen=True)
class Result:
    """One training of one candidate.

    Attributes:
        candidate: Column to text: what tells it apart.
        seed: Its seed, or its place among the rows of its candidate.
        metrics: "val_accuracy", "train_loss", "parameters", ... to value; shares between 0 and 1.
        where: The row that it comes from, for messages.
    """

    candidate: Mapping[str, str]
    seed: int
    metrics: Mapping[str, float]
    where: str

    @property
    def label(self) -> str:
        """What to call the candidate: "conv_stages 4, dense_layers 2"."""
        return ", ".join(f"{name} {value}" if name else value for name, value in self.candidate.items())


@dataclass(frozen=True)
class Results:
    """What a source holds.

    Attributes:
        evaluations: By candidate, then by seed, in the order in which candidates are first named.
        images: Number of validation images; None where nobody says.
        test_images: Number of test images; None where nobody says.
        guess: How the columns were understood, sentence by sentence.
        findings: What is wrong with the records, sentence by sentence.
    """

    evaluations: tuple[Result, ...]
    images: int | None
    test_images: int | None
    guess: tuple[str, ...] = ()
    findings: tuple[str, ...] = field(default=())

    @property
    def candidates(self) -> tuple[tuple[Result, ...], ...]:
        """The evaluations of each candidate."""
        groups: defaultdict[tuple[tuple[str, str], ...], list[Result]] = defaultdict(list)
        for one in self.evaluations:
            groups[tuple(one.candidate.items())].append(one)
        return tuple(tuple(group) for group in groups.values())


def results_of(
    table: Table, roles: Roles, images: int | None = None, test_images: int | None = None
) -> Results:
    """The evaluations of a table.

    Args:
        table: The table.
        roles: What its columns are.
        images: The number of validation images, where the person says it; it overrides a column.
        test_images: The number of test images, likewise.

    Raises:
        UserError: A cell is no number, a share is not between 0 and 1, percentages and shares are mixed, the
            numbers of images differ, or a candidate has one seed twice.
    """
    percent = {column for column in _share_columns(roles) if _in_percent(table, column)}
    found = [one for row in range(len(table.rows)) for one in _of_row(table, roles, percent, row)]
    if not found:
        raise UserError(f"{table.source} has no row with a validation accuracy")
    numbered = _with_seeds(found, roles.seed is not None or bool(roles.wide), table)
    images = images or _images(table, roles.images)
    test_images = test_images or _images(table, roles.test_images)
    results = Results(tuple(numbered), images, test_images)
    return Results(
        results.evaluations,
        images,
        test_images,
        tuple(_guess(table, roles, results, percent)),
        tuple(findings(results, seeds_known=roles.seed is not None or bool(roles.wide))),
    )


def findings(results: Results, *, seeds_known: bool = True) -> Iterator[str]:
    """What is wrong with records, whatever their source.

    Args:
        results: The evaluations.
        seeds_known: Whether the source says which seed a row has.
    """
    rows = results.evaluations
    both = [one.metrics for one in rows if {"val_accuracy", "test_accuracy"} <= one.metrics.keys()]
    equal = sum(one["val_accuracy"] == one["test_accuracy"] for one in both)
    above = sum(one["test_accuracy"] > one["val_accuracy"] for one in both)
    if equal:
        yield f"test equals validation in {equal} of {len(both)} rows: one of the two was not measured"
    if len(both) >= 4 and above >= 0.9 * len(both):
        count = f"all {len(both)}" if above == len(both) else f"{above} of {len(both)}"
        yield f"test is above validation in {count} rows: the test images were probably trained on"
    train = [one.metrics for one in rows if {"val_accuracy", "train_accuracy"} <= one.metrics.keys()]
    below = sum(one["train_accuracy"] < one["val_accuracy"] for one in train)
    if below:
        yield (
            f"train is below validation in {below} of {len(train)} rows: it was probably measured with "
            "augmentation and dropout, so it says nothing about overfitting"
        )
    if results.images is None:
        yield "nobody says how many validation images there were: no interval can be given for one run"
    if not seeds_known and any(len(group) > 1 for group in results.candidates):
        yield "seeds are not recorded: rows of one candidate are counted as its seeds"
    if all(len(group) == 1 for group in results.candidates):
        yield "each candidate was trained once: the noise between seeds is unknown"
    values = Counter(
        round(one.metrics["val_accuracy"], _DIGITS)
        for one in rows
        if round(one.metrics["val_accuracy"], _DIGITS) != round(one.metrics["val_accuracy"], 2)
    )
    if not values:
        return
    usual, often = values.most_common(1)[0]
    if often > max(2, len(rows) // 5):
        yield (
            f"{often} rows have the validation accuracy {usual:.{_DIGITS}f}: copies, or networks that "
            "learnt nothing"
        )


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
            f'{table.source}, line {table.lines[wrong[0]]}: "{column}" should be a share or a percentage. '
            f"Received: {wrong[1]:g}"
        )
    large = [row for row, value in values if value > 1]
    small = [row for row, value in values if 0 < value <= 1]
    if large and small:
        raise UserError(
            f'{table.source}: "{column}" mixes percentages (line {table.lines[large[0]]}) and shares '
            f"(line {table.lines[small[0]]}): write all of them in one way"
        )
    return bool(large)


def _of_row(table: Table, roles: Roles, percent: set[str], row: int) -> Iterator[Result]:
    """The evaluations of one row: one, or one for each seed that has a column."""
    candidate = {column: table.rows[row][column] for column in roles.candidate}
    where = f"line {table.lines[row]}"
    common = {score: _value(table, row, column, percent) for score, column in roles.scores.items()}
    common |= {fact: table.number(row, column) for fact, column in roles.facts.items()}
    seeds = sorted({seed for columns in roles.wide.values() for seed, _ in columns})
    if not seeds:
        seed = _seed(table, row, roles.seed)
        yield from _result(candidate, seed, common, where)
    for seed in seeds:
        own = {
            score: _value(table, row, dict(columns)[seed], percent)
            for score, columns in roles.wide.items()
            if seed in dict(columns)
        }
        yield from _result(candidate, seed, common | own, f"{where}, seed {seed}")


def _result(
    candidate: Mapping[str, str], seed: int, metrics: Mapping[str, float | None], where: str
) -> Iterator[Result]:
    """The evaluation, if it has a validation accuracy."""
    known = {name: value for name, value in metrics.items() if value is not None}
    if "val_accuracy" in known:
        yield Result(candidate, seed, known, where)


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
            f'{table.source}, line {table.lines[row]}: "{column}" should be a seed. Received: "{text[:60]}"'
        )
    return int(found[0]) % 2**31


def _with_seeds(found: Sequence[Result], seeds_known: bool, table: Table) -> Iterator[Result]:
    """Evaluations by candidate, seeds numbered where there are none. Raises UserError for a seed twice."""
    groups: defaultdict[tuple[tuple[str, str], ...], list[Result]] = defaultdict(list)
    for one in found:
        groups[tuple(one.candidate.items())].append(one)
    for group in groups.values():
        if not seeds_known:
            yield from (
                Result(one.candidate, n, one.metrics, one.where) for n, one in enumerate(group, start=1)
            )
            continue
        held: dict[int, Result] = {}
        for one in group:
            if one.seed in held:
                raise UserError(
                    f"{table.source}: {one.label} has seed {one.seed} twice ({held[one.seed].where} and "
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
    names = ", ".join(f"`{name}`" for name in roles.candidate)
    yield f"{len(results.candidates)} candidates by {names}; {told}"
    by_seed = {score: ", ".join(column for _, column in own) for score, own in roles.wide.items()}
    columns = {**roles.scores, **by_seed}
    for score, column in columns.items():
        unit = " (in percent)" if percent & set(column.split(", ")) else ""
        count = {"val": results.images, "test": results.test_images}.get(score.partition("_")[0])
        images = f", {count:,} images" if count else ""
        yield f"`{column}` is {score.replace('val_', 'validation ').replace('_', ' ')}{unit}{images}"
    for fact, column in roles.facts.items():
        yield f"`{column}` is {fact.replace('_', ' ')}"
    if roles.ignored:
        yield f"not used: {', '.join(f'`{name}`' for name in roles.ignored)}"
