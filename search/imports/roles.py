"""Which column is what: guessed from the names that people use, and said before anything is written."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from search.imports.request import Request
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
    "epochs": ("epochs", "n_epochs", "epochs_trained", "epoch"),
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
#: Words of numbers that are results and no setting.
_RESULTS: Final = frozenset({
    "precision", "recall", "auc", "kappa", "mse", "mae", "rmse", "error", "score", "time", "duration",
    "runtime", "hours", "minutes", "seconds", "memory", "mib", "gpu", "acc", "accuracy", "loss", "f1",
    "stopped", "best", "restored", "std", "sem", "rank",
})  # fmt: skip
#: Words that make a measure another one: accuracy among the first five answers, or its spread.
_OTHER_MEASURES: Final = frozenset({
    "top", "top2", "top3", "top5", "top10", "topk", "std", "sem", "stderr", "ci", "gap", "weighted",
    "micro",
})  # fmt: skip
#: Words of a score that was picked among epochs: the plain one beside it is preferred.
_CHOSEN: Final = frozenset(("best", "max", "highest"))
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


def roles_of(table: Table, request: Request) -> Roles:
    """Decide what each column is.

    Args:
        table: The table.
        request: What the person says; it overrides every guess.

    Returns:
        What each column is.

    Raises:
        UserError: A column that was named is not there; or no column can be the validation score, or tell
            candidates apart.
    """
    named = {*request.candidate, *([request.seed] if request.seed else ()), *request.scores.values()}
    for name in sorted(named):
        if name not in table.columns:
            raise UserError(
                f'{table.source} has no column "{name}"; its columns are {", ".join(table.columns)}'
            )
    scores, wide = _scores(table, request, named)
    taken = named | {*scores.values(), *(column for own in wide.values() for _, column in own)}
    seed = request.seed or (None if wide else _seed_column(table, taken))
    taken |= {seed} if seed else set()
    # Epochs tell candidates apart where nothing says that their rows differ by the seed alone.
    known = {key: words for key, words in _FACTS.items() if seed or wide or key != "epochs"}
    results = {*table.columns} - (table.settings or set())
    facts = {fact: found for fact, words in known.items() if (found := _among(results, words, taken))}
    taken |= set(facts.values())
    images, test_images = _among(results, _IMAGES, taken), _among(results, _TEST_IMAGES, taken)
    taken |= {column for column in (images, test_images) if column}
    candidate = request.candidate or tuple(
        column for column in table.columns if column not in taken and tells_apart(table, column)
    )
    _check(table, candidate, {**scores, **wide}, bool(table.predictions or request.predictions))
    return Roles(
        candidate=candidate,
        seed=seed,
        scores=scores,
        wide={score: tuple(sorted(columns)) for score, columns in wide.items()},
        facts=facts,
        images=images,
        test_images=test_images,
        ignored=tuple(name for name in table.columns if name not in taken and name not in candidate),
    )


def _scores(
    table: Table, request: Request, named: set[str]
) -> tuple[dict[str, str], dict[str, list[tuple[int, str]]]]:
    """Score to column, and score to (seed, column) where each seed has a column of its own."""
    judged = bool(table.predictions or request.predictions)  # the score may be left to the predictions
    rest = [
        column
        for column in table.columns
        if column not in named
        and column not in (table.settings or ())
        and (_numeric(table, column) or (judged and _is_empty(table, column)))
    ]
    read = {column: _score(column) for column in rest}
    explicit = {score for score, _ in read.values() if score} | set(request.scores)
    choices: dict[str, list[str]] = {}
    wide: dict[str, list[tuple[int, str]]] = {}
    for column, (score, seed) in read.items():
        if score is None:
            continue
        full = score
        if "_" not in score or score == "macro_f1":  # its heading names no split
            split = "train" if table.bare == "train" or f"val_{score}" in explicit else "val"
            full = f"{split}_{score}"
        if full in request.scores:
            continue
        if seed is None:
            choices.setdefault(full, []).append(column)
        else:
            wide.setdefault(full, []).append((seed, column))
    if not choices and not wide and not request.scores:
        wide = _numbered(table, rest)
    return {**request.scores, **{score: _one(table, score, own) for score, own in choices.items()}}, wide


def _numbered(table: Table, rest: Sequence[str]) -> dict[str, list[tuple[int, str]]]:
    """Columns that are called 1, 2, 3 and hold shares: the seeds of a table that pandas has turned."""
    own = [(int(column), column) for column in rest if column.isdecimal()]
    values = [
        value for _, column in own for row in range(len(table.rows)) if (value := table.number(row, column))
    ]
    return {"val_accuracy": own} if len(own) > 1 and all(0 <= value <= 100 for value in values) else {}


def _one(table: Table, score: str, columns: Sequence[str]) -> str:
    """The column of a score: the only one, or one of several that say the same."""
    plain = [column for column in columns if not _words(column) & _CHOSEN] or columns
    first = plain[0]
    for other in plain[1:]:
        if any(row[first] != row[other] for row in table.rows):
            raise UserError(
                f'{table.source}: "{first}" and "{other}" may both be {_said(score)}: '
                f"say which with {option_of(score)} COLUMN"
            )
    return first


def _seed_column(table: Table, taken: set[str]) -> str | None:
    settings = [column for column in table.columns if column in (table.settings or ())]
    return _among(settings, _SEEDS, taken) or _among(table.columns, _SEEDS, taken)


def tells_apart(table: Table, column: str) -> bool:
    """Whether a column that is no score and no fact may tell candidates apart.

    Args:
        table: The table.
        column: Its heading.
    """
    if table.settings is not None:
        return column in table.settings
    if key_of(column) in _NAMES:
        return False
    return not (_words(column) & _RESULTS and _numeric(table, column))


def option_of(score: str) -> str:
    """The option of `candor import` that names a score's column."""
    return {
        "val_accuracy": "--validation",
        "train_accuracy": "--train",
        "test_accuracy": "--test",
    }.get(score, f"--score {score}=")


def _check(table: Table, candidate: Sequence[str], scores: Mapping[str, object], judged: bool) -> None:
    if "val_accuracy" not in scores and not judged:
        hint = ""
        if "test_accuracy" in scores:
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


def split_and_measure(column: str) -> tuple[str | None, str | None]:
    """What a heading says it measures, and on which split.

    Args:
        column: The heading, "validation/accuracy" for instance.

    Returns:
        "train", "val" or "test", and "accuracy", "loss" or "macro_f1"; None for what it does not say.
    """
    words = _words(column)
    split = next((name for name, known in _SPLITS.items() if words & set(known)), None)
    measure = next((name for name, known in _MEASURES.items() if words & set(known)), None)
    return split, None if words & _OTHER_MEASURES else measure


def _score(column: str) -> tuple[str | None, int | None]:
    """The score in a heading, and its seed: ("val_accuracy", 3) of "val_acc_seed3".

    Without a split in the heading the measure stands alone: ("accuracy", None).
    """
    found = re.search(r"(?:^|[^a-z])(?:seed|run|fold|rep|repeat)[ _.#-]*(\d+)$", column.lower())
    seed = int(found[1]) if found else None
    split, measure = split_and_measure(column)
    if measure is None and seed is not None and split in (None, "val") and len(_words(column)) <= 2:
        return "val_accuracy", seed  # a column for each seed, named by the seed alone
    if measure is None:
        return None, None
    return f"{split}_{measure}" if split else measure, seed


def _words(column: str) -> set[str]:
    """The words of a heading, without a number at its end: "val", "acc", "seed" of "val_acc_seed3"."""
    plain = re.sub(r"([a-z])([A-Z])", r"\1 \2", column).lower()
    words = {word for word in re.split(r"[^a-z0-9]+", plain) if word and not word.isdecimal()}
    whole = {word for word in words if re.fullmatch(r"f1|top\d+", word)}
    return whole | {re.sub(r"\d+$", "", word) for word in words - whole}


def counts_images(column: str) -> bool:
    """Whether a heading names the number of images of a split.

    Args:
        column: The heading, "n" for instance.
    """
    return key_of(column) in (*_IMAGES, *_TEST_IMAGES)


def key_of(column: str) -> str:
    """A heading in small letters, with "_" between words.

    Args:
        column: The heading.
    """
    return re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")


def _among(columns: Iterable[str], known: Sequence[str], taken: set[str]) -> str | None:
    """The first column with one of these names."""
    by_key = {key_of(column): column for column in reversed(list(columns)) if column not in taken}
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


def _is_empty(table: Table, column: str) -> bool:
    return not any(row[column] for row in table.rows)


def _said(score: str) -> str:
    return score.replace("val_", "validation ").replace("_", " ")
