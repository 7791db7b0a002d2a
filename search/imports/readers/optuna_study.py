"""Trials of an Optuna study, read by Optuna: a database or a journal file."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from search.imports.request import Request
from search.imports.table import Curves, Table, cell
from search.safety.paths import file_name
from search.safety.secrets import masked, masked_address
from search.sqlite_files import reading, sqlite_path
from search.tracking import names
from spaces.errors import UnavailableError, UserError

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

FORM: Final = "optuna:sqlite:///STUDY.db"
_PREFIX: Final = "optuna:"


def accepts(source: str) -> bool:
    """Whether the source names a storage of Optuna.

    Args:
        source: What the person typed.
    """
    return source.startswith(_PREFIX)


def read(source: str, request: Request) -> Table:
    """Read the trials of a study that are over.

    Args:
        source: "optuna:" and a database's address, or the path of a SQLite or journal file.
        request: `study` is the study's name, needed where the storage holds several.

    Raises:
        UserError: There is no such storage or study, it is empty, or the database does not answer.
    """
    address = source.removeprefix(_PREFIX)
    shown = masked_address(address)
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        storage = _storage(address)
        try:
            known = optuna.get_all_study_names(storage)
            if request.study is None and len(known) != 1:
                raise UserError(
                    f"{shown} has {len(known)} studies, name one with --study: {', '.join(known)}"
                )
            if request.study is not None and request.study not in known:
                raise UserError(f"{shown} has no study {request.study}; it has {', '.join(known) or 'none'}")
            study = optuna.load_study(study_name=request.study or known[0], storage=storage)
            return _table(study, study.get_trials(deepcopy=False), shown)
        except UserError:
            raise
        except UnavailableError as error:
            raise UserError(str(error)) from error
        except Exception as error:  # whatever the database raises
            text = " ".join(str(error).split())[:200]
            raise UserError(f"{shown} cannot be read: {masked(text)}") from error


def _storage(address: str) -> "BaseStorage":
    """The storage; nothing is made where there is none."""
    import optuna

    path = sqlite_path(address) or (Path(address) if "://" not in address else None)
    if path is None:
        try:
            return optuna.storages.RDBStorage(address, skip_table_creation=True)
        except Exception as error:
            text = " ".join(str(error).split())[:200]
            raise UserError(f"{masked_address(address)} does not answer: {masked(text)}") from error
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    path = path.absolute()
    with path.open("rb") as file:
        begin = file.read(16)
    if begin[:1] == b"{":
        from optuna.storages.journal import JournalFileBackend

        return optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    with reading(path) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'studies'").fetchall():
            raise UserError(f"{path} is no storage of Optuna")
    try:
        return optuna.storages.RDBStorage(f"sqlite:///{path}", skip_table_creation=True)
    except RuntimeError as error:
        text = " ".join(str(error).split())[:200]
        raise UserError(f"{path} was written by another version of Optuna: {text}") from error


def _table(study: "Study", trials: "Sequence[FrozenTrial]", shown: str) -> Table:
    over = [trial for trial in trials if trial.state.is_finished()]
    if not over:
        raise UserError(f"the study {study.study_name} in {shown} has no trial that is over")
    values = _value_names(study)
    params = sorted({name for trial in over for name in trial.params})
    attributes = sorted(
        {name for trial in over for name, value in trial.user_attrs.items() if _is_scalar(value)}
    )
    other = {one: f"user_attrs.{one}" if one in params or one in values else one for one in attributes}
    columns = (*params, *(one if one not in params else f"values.{one}" for one in values), *other.values())
    blank = dict.fromkeys(columns, "")
    rows = tuple({**blank, **dict(_cells(trial, params, values, other))} for trial in over)
    ends = {
        n: names.PRUNED if trial.state.name == "PRUNED" else names.FAILED
        for n, trial in enumerate(over)
        if trial.state.name != "COMPLETE"
    }
    return Table(
        source=f"optuna:{study.study_name}",
        address=f"optuna:{study.study_name} in {shown}",
        name=file_name(study.study_name).replace(".", "_"),
        columns=columns,
        rows=rows,
        places=tuple(f"trial {trial.number}" for trial in over),
        settings=frozenset(params),
        states=ends,
        reasons={n: f"Optuna's state is {over[n].state.name}" for n in ends},
        curves={
            n: _curve(trial)
            for n, trial in enumerate(over)
            if len(trial.intermediate_values) > 1 and values[0] == "val_accuracy"
        },
        guess=tuple(_guess(study, values, trials, over)),
        findings=tuple(_findings(over)),
    )


def _value_names(study: "Study") -> list[str]:
    """What each objective is: its own name, or validation accuracy where it is a share to be maximised."""
    if study.metric_names:
        return list(study.metric_names)
    if len(study.directions) > 1:
        return [f"value {number}" for number in range(len(study.directions))]
    return ["val_accuracy" if study.direction.name == "MAXIMIZE" else "value"]


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)


def _cells(
    trial: "FrozenTrial", params: Sequence[str], values: Sequence[str], other: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    for name, value in trial.params.items():
        yield name, cell(value)
    if trial.values and trial.state.name == "COMPLETE":
        for name, number in zip(values, trial.values, strict=False):
            yield name if name not in params else f"values.{name}", cell(float(number))
    for name, heading in other.items():
        if name in trial.user_attrs:
            yield heading, cell(trial.user_attrs[name])


def _curve(trial: "FrozenTrial") -> Curves:
    steps = sorted(trial.intermediate_values.items())
    first = steps[0][0]
    return {"val_accuracy": tuple((step - first + 1, float(value)) for step, value in steps)}


def _guess(
    study: "Study", values: Sequence[str], trials: "Sequence[FrozenTrial]", over: "Sequence[FrozenTrial]"
) -> Iterator[str]:
    if values == ["val_accuracy"] and not study.metric_names:
        yield "the value of a trial is to be maximised: taken for validation accuracy"
    if len(over) < len(trials):
        yield f"{len(trials) - len(over)} trials are not over and are left out: import again later"


def _findings(over: "Sequence[FrozenTrial]") -> Iterator[str]:
    complete = [trial for trial in over if trial.state.name == "COMPLETE"]
    best = sum(
        len(set(trial.intermediate_values.values())) > 1
        and len(trial.values or ()) == 1
        and (trial.values or [0.0])[0]
        == (max if (trial.values or [0.0])[0] >= max(trial.intermediate_values.values()) else min)(
            trial.intermediate_values.values()
        )
        != trial.intermediate_values[max(trial.intermediate_values)]
        for trial in complete
    )
    if best:
        yield (
            f"the value is the best of the reported steps, not the last, in {best} of {len(complete)} "
            "complete "
            "trials: the epoch was chosen on the split that is reported, so scores are optimistic"
        )
