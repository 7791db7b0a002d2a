"""Trials of a Keras Tuner project: the JSON files of its folder. No code of the person's is run."""

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from search.imports.request import Request
from search.imports.table import Table, cell
from search.safety.paths import file_name
from search.tracking import names
from spaces.errors import UserError

FORM: Final = "keras-tuner:PATH/TO/PROJECT"
_PREFIX: Final = "keras-tuner:"
_LARGEST: Final = 20 * 2**20
_TRIALS: Final = 100_000
#: Hyperparameters that Keras Tuner adds: how long Hyperband trains, and which trial goes on.
_OWN: Final = "tuner/"
_EPOCHS: Final = "tuner/epochs"
_STATES: Final = {"FAILED": names.FAILED, "INVALID": names.INFEASIBLE, "STOPPED": names.PRUNED}


def accepts(source: str) -> bool:
    """Whether the source names a project of Keras Tuner.

    Args:
        source: What the person typed.
    """
    return source.startswith(_PREFIX)


def read(source: str, request: Request) -> Table:
    """Read the trials of a project that are over.

    Args:
        source: "keras-tuner:" and the project's folder, the one that holds oracle.json.
        request: Not used.

    Raises:
        UserError: The folder is none of Keras Tuner's, or empty.
    """
    folder = Path(source.removeprefix(_PREFIX))
    if not (folder / "oracle.json").is_file():
        below = sorted(path.parent.name for path in folder.glob("*/oracle.json")) if folder.is_dir() else []
        hint = f": the projects below it are {', '.join(below[:8])}" if below else ""
        raise UserError(f"{folder} is no project of Keras Tuner, it has no oracle.json{hint}")
    oracle = _json(folder / "oracle.json")
    files = sorted(folder.glob("trial_*/trial.json"))
    if not files or len(files) > _TRIALS:
        raise UserError(f"{folder} has {len(files)} trials of Keras Tuner")
    order = {str(one): place for place, one in enumerate(oracle.get("start_order") or ())}
    trials = sorted(
        map(_trial, files), key=lambda one: (order.get(one["trial_id"], len(order)), one["trial_id"])
    )
    over = [one for one in trials if one["status"] in ("COMPLETED", *_STATES)]
    if not over:
        raise UserError(f"{folder} has no trial that is over")
    return _table(folder, trials, over)


def _json(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _LARGEST:
        raise UserError(f"{path} is larger than Keras Tuner writes it")
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    if not isinstance(held, dict):
        raise UserError(f"{path} is no record of Keras Tuner")
    return held


def _trial(path: Path) -> dict[str, Any]:
    """The parts of a trial that are used, of the kinds that they should be."""
    held = _json(path)
    try:
        values = held["hyperparameters"]["values"]
        metrics = dict(_metrics(held["metrics"]["metrics"], held.get("best_step")))
        if not isinstance(values, dict):
            raise TypeError("its hyperparameters are no table")
        return {
            "trial_id": str(held["trial_id"]),
            "status": str(held["status"]),
            "message": str(held.get("message") or ""),
            "values": {str(name): value for name, value in values.items()},
            "metrics": metrics,
            "directions": {
                name: str(one.get("direction")) for name, one in held["metrics"]["metrics"].items()
            },
        }
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise UserError(f"{path} is no trial of Keras Tuner: {error}") from error


def _metrics(held: Mapping[str, Any], best_step: Any) -> Iterator[tuple[str, float]]:
    """Each metric at the step that Keras Tuner calls the best, its executions averaged."""
    for name, one in held.items():
        observations = one["observations"]
        if not observations:
            continue
        chosen = next((each for each in observations if each.get("step") == best_step), observations[-1])
        values = [float(value) for value in chosen["value"]]
        if values and all(map(math.isfinite, values)):
            yield str(name), sum(values) / len(values)


def _table(folder: Path, trials: Sequence[Mapping[str, Any]], over: Sequence[Mapping[str, Any]]) -> Table:
    settings = sorted({name for one in over for name in one["values"] if not name.startswith(_OWN)})
    metrics = sorted({name for one in over for name in one["metrics"]})
    heading = {one: f"metrics.{one}" if one in settings else one for one in metrics}
    columns = (*settings, *heading.values())
    blank = dict.fromkeys(columns, "")
    rows = tuple(
        {
            **blank,
            **{name: cell(value) for name, value in one["values"].items() if name in settings},
            **{heading[name]: cell(value) for name, value in one["metrics"].items()},
        }
        for one in over
    )
    states = {n: _STATES[one["status"]] for n, one in enumerate(over) if one["status"] in _STATES}
    reasons = {n: _reason(over[n]) for n in states}
    for row in _continued(over):
        states[row], reasons[row] = names.PRUNED, "a later trial trained it for more epochs"
    return Table(
        source=folder,
        address=f"keras-tuner:{folder.name}",
        name=file_name(folder.resolve().name),
        columns=columns,
        rows=rows,
        places=tuple(f"trial {one['trial_id']}" for one in over),
        settings=frozenset(settings),
        bare="train",
        states=states,
        reasons=reasons,
        guess=(f"{len(trials) - len(over)} trials are not over and are left out",)
        if len(over) < len(trials)
        else (),
        findings=tuple(_findings(over, states)),
    )


def _reason(trial: Mapping[str, Any]) -> str:
    """The last line of the traceback that Keras Tuner kept."""
    lines = [line.strip() for line in trial["message"].splitlines() if line.strip()]
    return lines[-1][:200] if lines else f"Keras Tuner's status is {trial['status']}"


def _continued(over: Sequence[Mapping[str, Any]]) -> Iterator[int]:
    """Trials of Hyperband that a longer one of the same candidate replaces."""
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for row, one in enumerate(over):
        own = {name: value for name, value in one["values"].items() if not name.startswith(_OWN)}
        if _EPOCHS in one["values"]:
            groups[json.dumps(own, sort_keys=True)].append(row)
    for rows in groups.values():
        longest = max(float(over[row]["values"][_EPOCHS]) for row in rows)
        yield from (row for row in rows if float(over[row]["values"][_EPOCHS]) < longest)


def _findings(over: Sequence[Mapping[str, Any]], states: Mapping[int, str]) -> Iterator[str]:
    yield (
        "Keras Tuner keeps the best epoch, chosen on the split that is reported, and the mean over "
        "executions_per_trial trainings: scores are optimistic, and the noise between seeds is lost"
    )
    epochs = sorted(
        {one["values"][_EPOCHS] for n, one in enumerate(over) if _EPOCHS in one["values"] and n not in states}
    )
    if len(epochs) > 1:
        yield (
            f"candidates were trained for different numbers of epochs ({epochs[0]} to {epochs[-1]}): those "
            "that "
            "were stopped early cannot be compared with the others"
        )
