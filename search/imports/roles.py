"""Which column is what: guessed from the names that people use, and said before anything is written."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from search.imports.table import Table
from spaces.errors import UserError

#: Words of headings, by what they mean.
_SPLITS: Final = {
    "train": ("train", "training", "tr"),
    "val": ("val", "valid", "validation", "dev", "monitor", "eval"),
    "test": ("test", "testing", "holdout", "private"),
}
_MEASURES: Final = {
    "accuracy": ("acc", "accuracy", "top1", "correct"),
    "loss": ("loss", "crossentropy", "xent", "nll"),
    "macro_f1": ("f1",),
}
_SEEDS: Final = (
    "seed",
    "seeds",
    "random_state",
    "run",
    "fold",
    "replicate",
    "repeat",
    "repetition",
    "rep",
    "split",
)
#: Headings of single columns, by the metric that they become.
_FACTS: Final = {
    "parameters": ("parameters", "params", "n_params", "num_params", "weights"),
    "epochs": ("epochs", "n_epochs", "epochs_trained"),
    "best_epoch": ("best_epoch",),
    "seconds": ("seconds", "time_s", "duration_s", "training_seconds"),
}
_IMAGES: Final = ("n", "images", "n_images", "n_val", "val_images", "n_validation")
_TEST_IMAGES: Final = ("n_test", "test_images")
#: Columns that name a row and describe nothing.
_NAMES: Final = (
    "id",
    "run_id",
    "uuid",
    "index",
    "date",
    "time",
    "timestamp",
    "started",
    "notes",
    "comment",
    "url",
)
#: The metrics of an imported evaluation that are shares.
SHARES: Final = frozenset({"accuracy", "macro_f1"})


@dataclass(frozen=True)
class Roles:
    """What each column of a table is.

    Attributes:
        candidate: Columns that tell candidates apart.
        seed: The column with the seed; None where rows have none.
        scores: "val_accuracy", "train_loss", ... to column. With `wide`, of the columns without a seed.
        wide: Score to (seed, column), where each seed has a column of its own.
        facts: "parameters", "epochs", ... to column.
        images: Column with the number of validation images of each row; None where there is none.
        test_images: The same of test.
        ignored: Columns that are used for nothing.
    """

    candidate: tuple[str, ...]
    seed: str | None
    scores: Mapping[str, str]
    wide: Mapping[str, tuple[tuple[int, str], ...]]
    facts: Mapping[str, str]
    images: str | None
    test_images: str | None
    ignored: tuple[str, ...]


@dataclass(frozen=True)
class Choices:
    """What the person says about columns; None and () leave it to the guess.

    Attributes:
        candidate: Columns that tell candidates apart.
        seed: The column with the seed.
        scores: "val_accuracy", "train_accuracy", "test_accuracy", "val_loss", ... to column.
    """

    candidate: tuple[str, ...] = ()
    seed: str | None = None
    scores: Mapping[str, str] = field(default_factory=dict)


def roles_of(table: Table, choices: Choices) -> Roles:
    """Decide what each column is.

    Args:
        table: The table.
        choices: What the person says; it overrides every guess.

    Raises:
        UserError: A column that was named is not there; or no column can be the validation score, or tell
            candidates apart.
    """
    for name in (*choices.candidate, *([choices.seed] if choices.seed else ()), *choices.scores.values()):
        if name not in table.columns:
            known = ", ".join(table.columns)
            raise UserError(f'{table.source} has no column "{name}"; its columns are {known}')
    taken = {*choices.candidate, *([choices.seed] if choices.seed else ()), *choices.scores.values()}
    rest = [column for column in table.columns if column not in taken]
    scores = dict(choices.scores)
    wide: dict[str, list[tuple[int, str]]] = {}
    for column in rest:
        score, seed = _score(column)
        if score is None or score in choices.scores or not _numeric(table, column):
            continue
        if seed is None:
            if score in scores:
                raise UserError(
                    f'{table.source}: "{scores[score]}" and "{column}" may both be {_said(score)}: '
                    f"say which with {option_of(score)} COLUMN"
                )
            scores[score] = column
        else:
            wide.setdefault(score, []).append((seed, column))
    taken |= {*scores.values(), *(column for columns in wide.values() for _, column in columns)}
    facts = {fact: found for fact, known in _FACTS.items() if (found := _among(table, known, taken))}
    taken |= set(facts.values())
    images, test_images = _among(table, _IMAGES, taken), _among(table, _TEST_IMAGES, taken)
    taken |= {column for column in (images, test_images) if column}
    seed_column = choices.seed
    if seed_column is None and not wide:
        seed_column = _among(table, _SEEDS, taken)
    taken |= {seed_column} if seed_column else set()
    candidate = choices.candidate or tuple(
        column for column in table.columns if column not in taken and _key(column) not in _NAMES
    )
    ignored = tuple(column for column in table.columns if column not in taken and column not in candidate)
    _check(table, candidate, scores, wide)
    return Roles(
        candidate=candidate,
        seed=seed_column,
        scores=scores,
        wide={score: tuple(sorted(columns)) for score, columns in wide.items()},
        facts=facts,
        images=images,
        test_images=test_images,
        ignored=ignored,
    )


def option_of(score: str) -> str:
    """The option of `candor import` that names a score's column."""
    return {
        "val_accuracy": "--validation",
        "train_accuracy": "--train",
        "test_accuracy": "--test",
    }.get(score, f"--score {score}=")


def _check(
    table: Table, candidate: Sequence[str], scores: Mapping[str, str], wide: Mapping[str, Sequence[object]]
) -> None:
    if "val_accuracy" not in {**scores, **wide}:
        hint = ""
        if "test_accuracy" in {**scores, **wide}:
            hint = "; a test score may decide nothing, so it cannot stand in for it"
        raise UserError(
            f"{table.source} has no column that can be the validation accuracy: name it with "
            f"--validation COLUMN; its columns are {', '.join(table.columns)}{hint}"
        )
    if not candidate:
        raise UserError(
            f"{table.source} has no column that tells candidates apart: name it with --candidate "
            "COLUMN[,COLUMN]"
        )


def _score(column: str) -> tuple[str | None, int | None]:
    """What a heading says it measures, and of which seed: ("val_accuracy", 3) of "val_acc_seed3"."""
    words = _words(column)
    found = re.search(r"(?:^|[^a-z])(?:seed|run|fold|rep|repeat)[ _.#-]*(\d+)$", column.lower())
    seed = int(found[1]) if found else None
    measure = next((name for name, known in _MEASURES.items() if words & set(known)), None)
    split = next((name for name, known in _SPLITS.items() if words & set(known)), None)
    if measure is None and seed is not None and split in (None, "val") and len(words) <= 2:
        return "val_accuracy", seed  # a column for each seed, named by the seed alone
    if measure is None:
        return None, None
    return f"{split or 'val'}_{measure}", seed


def _words(column: str) -> set[str]:
    plain = re.sub(r"([a-z])([A-Z])", r"\1 \2", column).lower()
    words = re.split(r"[^a-z0-9]+", re.sub(r"([a-z])[ _.#-]*\d+$", r"\1", plain))
    return {word for word in words if word} | {
        re.sub(r"\d+$", "", word) for word in words if word not in ("f1", "top1")
    }


def _key(column: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")


def _among(table: Table, known: Sequence[str], taken: set[str]) -> str | None:
    """The first column with one of these names."""
    by_key = {_key(column): column for column in reversed(table.columns) if column not in taken}
    return next((by_key[name] for name in known if name in by_key), None)


def _numeric(table: Table, column: str) -> bool:
    """Whether most cells of a column are numbers: one that is not is a mistake, many are another thing."""
    filled = [row for row in range(len(table.rows)) if table.rows[row][column]]
    good = 0
    for row in filled:
        try:
            table.number(row, column)
            good += 1
        except UserError:
            continue
    return bool(filled) and good >= 0.5 * len(filled)


def _said(score: str) -> str:
    return score.replace("val_", "validation ").replace("_", " ")
