"""Runs as pandas frames with fixed columns and dtypes, whatever the runs hold."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from reports.records.store import Run
from search.tracking import names
from search.tracking.privacy import public_text

#: Identity of an evaluation: column -> tag.
TAGS = {
    "key": names.KEY,
    "stage": names.STAGE,
    "state": names.STATE,
    "reason": names.REASON,
    "candidate": names.CANDIDATE,
    "fingerprint": names.ARCHITECTURE,
    "family": names.FAMILY,
    "variant": names.VARIANT,
    "label": names.LABEL,
}
SCORES = ("accuracy", "loss", "macro_f1")
#: Final metrics, under the names that MLflow has them by.
METRICS = (
    *(names.VAL + score for score in SCORES),
    *(names.MONITOR_FINAL + score for score in SCORES),
    *(names.TEST + score for score in SCORES),
    names.TRAIN_CLEAN + "accuracy",
    names.TRAIN_CLEAN + "loss",
    names.GAP_ACCURACY,
    names.GAP_LOSS,
    names.RELATIVE_OVERFIT,
    names.OVERFIT_SLOPE,
    names.ECE,
    names.BEST_EPOCH,
    names.EPOCHS,
    names.PARAMETERS,
    names.MACS,
    names.SECONDS,
    names.IMAGES_PER_SECOND,
    names.PEAK_RSS_MIB,
)
#: What an evaluation without a state tag must be, by its MLflow status.
STATE_BY_STATUS = {"RUNNING": names.RUNNING, "SCHEDULED": names.RUNNING, "FINISHED": names.COMPLETE}
STAGE_ORDER = {names.EXPLORE: 0, names.CONFIRM: 1}


def evaluations(runs: Iterable[Run]) -> pd.DataFrame:
    """One row per evaluation, in the order of stage, trial, seed (columns: docs/reports.md).

    A key that was delivered twice keeps its complete run, or else the newest.

    Args:
        runs: MLflow's runs of evaluations.

    Returns:
        A frame with the columns and types of DTYPES.
    """
    frame = pd.DataFrame([_row(run) for run in runs], columns=[*DTYPES])
    frame = frame.astype(DTYPES)
    rank = frame.stage.map(STAGE_ORDER).fillna(len(STAGE_ORDER))
    frame = frame.assign(rank=rank, done=frame.state == names.COMPLETE)
    frame = frame.sort_values(
        ["rank", "stage", "trial", "seed", "key", "done", "started", "run_id"], kind="stable"
    )
    keyed = frame.key != ""
    frame = frame[~(keyed & frame.duplicated("key", keep="last"))]
    return frame.drop(columns=["rank", "done"]).reset_index(drop=True)


def counted_once(frame: pd.DataFrame) -> pd.DataFrame:
    """Evaluations of which none counts twice: two cells of a grid may describe one candidate.

    Of complete confirm evaluations with one candidate and seed the first stays so, the others become
    duplicates. Such a candidate is the baseline if one of its cells is.

    Args:
        frame: As `evaluations` gives it.
    """
    confirm = (frame.stage == names.CONFIRM) & (frame.candidate != "")
    complete = frame[confirm & (frame.state == names.COMPLETE)]
    again = complete[complete.duplicated(["candidate", "seed"])]
    baselines = set(frame.candidate[confirm & frame.baseline])
    return frame.assign(
        state=frame.state.mask(frame.index.isin(again.index), names.DUPLICATE),
        baseline=frame.baseline | (confirm & frame.candidate.isin(baselines)),
    )


def confirmations(frame: pd.DataFrame) -> pd.DataFrame:
    """The confirm runs that count, with a column `group`: the candidate, or "trial N" for a cell without one.

    A cell that cannot be built never becomes a candidate. A run that ended before its candidate was known
    belongs to the candidate of its slot.

    Args:
        frame: As `counted_once` gives it.
    """
    runs = frame[frame.stage == names.CONFIRM]
    of_slot = {slot: name for slot, name in zip(runs.trial, runs.candidate, strict=True) if name}
    runs = runs[runs.state != names.DUPLICATE]
    groups = [
        name or of_slot.get(slot, f"trial {slot}")
        for slot, name in zip(runs.trial, runs.candidate, strict=True)
    ]
    return runs.assign(group=groups)


def settings(runs: Iterable[Run]) -> pd.DataFrame:
    """Parameters `arch.*` and `recipe.*`, one row per run_id; columns of numbers are numeric.

    Args:
        runs: MLflow's runs of evaluations.
    """
    rows = {
        run.run_id: {
            key: value for key, value in run.params.items() if key.startswith((names.ARCH, names.RECIPE))
        }
        for run in runs
    }
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("run_id")
    frame = frame.reindex(sorted(frame.columns), axis=1)
    return frame.apply(_numeric)


def each(frame: pd.DataFrame) -> Iterator[Any]:
    """Rows as tuples with the columns' names; Any, since no type checker knows the columns of a frame."""
    return iter(frame.itertuples(index=False))


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dicts from column to value."""
    return [dict(zip(frame.columns, row, strict=True)) for row in frame.itertuples(index=False, name=None)]


def _numeric(column: "pd.Series[str]") -> "pd.Series[float] | pd.Series[str]":
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers if numbers.notna().equals(column.notna()) else column


def _row(run: Run) -> dict[str, object]:
    row: dict[str, object] = {"run_id": run.run_id, "started": run.started, "ended": run.ended}
    row |= {column: run.tags.get(tag, "") for column, tag in TAGS.items()}
    row["reason"] = public_text(str(row["reason"]))
    row |= {
        "state": run.tags.get(names.STATE) or STATE_BY_STATUS.get(run.status, names.FAILED),
        "trial": _integer(run.tags.get(names.TRIAL) or run.params.get(names.PARAM_TRIAL)),
        "seed": _integer(run.tags.get(names.SEED) or run.params.get(names.PARAM_SEED)),
        "baseline": run.tags.get(names.BASELINE) == "true",
    }
    row |= {fact: _fact(run.params, fact) for fact in names.ARCH_FACTS}
    return row | {metric: run.metrics.get(metric, np.nan) for metric in METRICS}


def _fact(params: Mapping[str, str], fact: str) -> object:
    value = params.get(names.ARCH + fact, "")
    return _integer(value) if fact in _COUNTS else value


def _integer(text: str | None) -> object:
    try:
        return int(text) if text else pd.NA
    except ValueError:
        return pd.NA


_COUNTS = ("conv_stages", "dense_layers")
DTYPES: dict[str, str] = {
    "run_id": "str",
    **dict.fromkeys(TAGS, "str"),
    "trial": "Int64",
    "seed": "Int64",
    "baseline": "bool",
    **{fact: "Int64" if fact in _COUNTS else "str" for fact in names.ARCH_FACTS},
    **dict.fromkeys(METRICS, "float64"),
    "started": "Int64",
    "ended": "Int64",
}
