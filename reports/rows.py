"""The comparison as one frame: a row per candidate, confirmed, published or explored, with fixed columns.

Numbers of the validation split and of the monitor split never share a column: what explore measured on
monitor stands in columns that begin with `monitor_`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from reports import statistics
from reports.analysis import Analysis
from reports.inference.comparison import Row
from reports.records.frames import each
from reports.records.store import MissingArtifactError
from search.tracking import names

COLUMNS = (
    "architecture", "family", "variant", "conv_stages", "kernels", "dense_layers", "neurons",
    "parameters", "macs", "seconds", "n_seeds", "state", "val_accuracy", "val_accuracy_se",
    "val_accuracy_ci_low", "val_accuracy_ci_high", "val_macro_f1", "val_loss", "val_accuracy_shrunk",
    "train_clean_accuracy", "train_clean_loss", "gap_accuracy", "gap_loss", "relative_overfit",
    "best_epoch", "epochs", "overfit_slope", "ece", "delta_to_best", "delta_ci_low", "delta_ci_high",
    "p_above", "p_equal", "p_below", "p_holm", "tied_for_best", "within_one_se", "pareto",
    "test_accuracy", "test_ci_low", "test_ci_high", "test_accuracy_without_twins", "leak_delta", "stage",
    "baseline", "verdict",
    # beyond the comparison proper
    "seeds_failed", "val_accuracy_all", "seeds_won", "seeds_paired",
    "val_accuracy_se_seeds", "monitor_accuracy", "monitor_macro_f1", "monitor_loss",
    "monitor_gap_accuracy", "monitor_gap_loss", "monitor_relative_overfit", "monitor_ece",
    "ranking_split", "group", "reason", "candidate", "run_id",
)  # fmt: skip
#: Columns whose values a candidate's runs share, or of which the first will do.
FACTS = ("family", "variant", *names.ARCH_FACTS, "parameters", "macs")
#: Columns that are means over the seeds of a confirmed candidate.
MEANS = (
    "seconds", "val_macro_f1", "val_loss", "train_clean_accuracy", "train_clean_loss", "gap_accuracy",
    "gap_loss", "best_epoch", "epochs", "overfit_slope", "ece",
)  # fmt: skip
#: Columns that the comparison computed.
COMPARED = (
    "n_seeds", "val_accuracy", "val_accuracy_se", "val_accuracy_ci_low", "val_accuracy_ci_high",
    "val_accuracy_shrunk", "relative_overfit", "delta_to_best", "delta_ci_low", "delta_ci_high",
    "p_above", "p_equal", "p_below", "p_holm", "tied_for_best", "within_one_se", "pareto", "leak_delta",
    "seeds_failed", "val_accuracy_all", "seeds_won", "seeds_paired",
)  # fmt: skip
#: What explore measured on monitor: our column -> the run's metric.
ON_MONITOR = {
    "monitor_accuracy": names.MONITOR_FINAL + "accuracy",
    "monitor_macro_f1": names.MONITOR_FINAL + "macro_f1",
    "monitor_loss": names.MONITOR_FINAL + "loss",
    "monitor_gap_accuracy": names.GAP_ACCURACY,
    "monitor_gap_loss": names.GAP_LOSS,
    "monitor_relative_overfit": names.RELATIVE_OVERFIT,
    "monitor_ece": names.ECE,
}
#: A candidate without a complete run is described by the first of these states that a run of it has.
STATE_ORDER = (names.COMPLETE, names.RUNNING, names.FAILED, names.DIVERGED, names.PRUNED, names.INFEASIBLE)
PUBLISHED = "published"
TEXT = (
    "architecture", "family", "variant", "kernels", "neurons", "state", "stage", "verdict",
    "ranking_split", "group", "reason", "candidate", "run_id",
)  # fmt: skip
FLAGS = ("tied_for_best", "within_one_se", "pareto", "baseline")
_INTEGERS = ("conv_stages", "dense_layers", "parameters", "macs", "n_seeds", "seeds_failed", "seeds_paired")


def comparison_rows(analysis: Analysis) -> pd.DataFrame:
    """All rows: confirmed best first, published, explored by monitor score, then what did not finish."""
    explored = _explored(analysis)
    rows = [
        *_sized(analysis, list(_confirmed(analysis, explored))),
        *_scored(analysis),
        *_published(analysis),
        *_rest(analysis, explored),
    ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame[list(TEXT)] = frame[list(TEXT)].astype("object").fillna("").astype("str")
    frame = frame.astype({name: "float64" for name in COLUMNS if name not in (*TEXT, *_INTEGERS, *FLAGS)})
    frame[list(_INTEGERS)] = frame[list(_INTEGERS)].astype("Float64").round()
    return frame.astype({**dict.fromkeys(_INTEGERS, "Int64"), **dict.fromkeys(FLAGS, "boolean")})


def _confirmed(analysis: Analysis, explored: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A row for each candidate, and for each cell that never became one."""
    compared = {row.candidate: row for row in analysis.rows}
    groups = {str(name): group for name, group in analysis.study.confirmations.groupby("group", sort=False)}
    rest = sorted(
        (name for name in groups if name not in compared),
        key=lambda name: -np.nan_to_num(groups[name].val_accuracy.mean()),
    )
    for name in [*compared, *rest]:
        row = _of_runs(analysis, groups[name], compared.get(name))
        if name in explored:
            row |= {column: getattr(explored[name], column) for column in ON_MONITOR}
        yield row | _tested(analysis, name)


def _sized(analysis: Analysis, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows whose front is that of the score and the size, where the study asked for small networks too."""
    size = analysis.study.protocol.get("also_minimize")
    if size and rows:
        compared = [row for row in rows if "delta_to_best" in row]
        costs = [[-row["delta_to_best"], float(row[size])] for row in compared]
        for row, front in zip(compared, statistics.pareto_front(np.array(costs)), strict=True):
            row["pareto"] = bool(front)
    return rows


def _of_runs(analysis: Analysis, runs: pd.DataFrame, compared: Row | None) -> dict[str, Any]:
    complete = runs[runs.state == names.COMPLETE]
    first = next(some for some in (complete, runs[runs.candidate != ""], runs) if not some.empty).iloc[0]
    row: dict[str, Any] = {name: first[name] for name in FACTS}
    row |= {name: complete[name].mean() for name in MEANS}
    row |= {
        "architecture": analysis.labels.get(first.candidate, first.label or f"trial {first.trial}"),
        "candidate": first.candidate,
        "run_id": first.run_id,
        "state": min(runs.state, key=_state_rank),
        "stage": names.CONFIRM,
        "ranking_split": "validation",
        "baseline": bool(runs.baseline.any()),
        "n_seeds": len(complete),
        "val_accuracy": complete.val_accuracy.mean(),
        "relative_overfit": complete.relative_overfit.mean(),
        "val_accuracy_se_seeds": complete.val_accuracy.sem() if len(complete) > 1 else np.nan,
        "verdict": analysis.word(first.candidate) if compared else _unjudged(analysis, runs),
        "reason": _why(analysis, runs, compared),
    }
    if analysis.scores is not None:
        alone = analysis.scores.row(str(first.candidate))
        row |= {"val_accuracy_ci_low": alone.low, "val_accuracy_ci_high": alone.high}
    return row | ({name: getattr(compared, name) for name in COMPARED} if compared else {})


def _unjudged(analysis: Analysis, runs: pd.DataFrame) -> str:
    """The word for what was not compared; none while nothing is."""
    if (runs.state == names.INFEASIBLE).all():
        return "infeasible"
    return "underpowered" if analysis.comparison else ""


def _state_rank(state: str) -> int:
    return STATE_ORDER.index(state) if state in STATE_ORDER else len(STATE_ORDER)


def _why(analysis: Analysis, runs: pd.DataFrame, compared: Row | None) -> str:
    """What a reader of the row must know: seeds that failed to learn or are missing, and why."""
    told = []
    if compared is not None and compared.seeds_failed:
        told.append(f"{compared.seeds_failed} of {compared.n_seeds} seeds failed to learn")
    for state, group in runs[runs.state != names.COMPLETE].groupby("state"):
        reason = next((text for text in group.reason if text), "")
        told.append(f"{len(group)} of {len(runs)} seeds {state}{': ' + reason if reason else ''}")
    lost = [analysis.missing[run] for run in runs.run_id if run in analysis.missing]
    if lost:
        told.append(f"{len(lost)} of {len(runs)} seeds not compared: {lost[0]}")
    return "; ".join(told)


def _tested(analysis: Analysis, candidate: str) -> dict[str, Any]:
    """Accuracy on the test set, once it was opened for this candidate."""
    frame = analysis.study.unsealings
    runs = frame[(frame.candidate == candidate) & frame.test_accuracy.notna()]
    runs = runs.drop_duplicates("seed", keep="last")  # a second verdict may have opened the same model again
    if runs.empty:
        return {}
    found: dict[str, Any] = {"test_accuracy": runs.test_accuracy.mean()}
    try:
        said = [analysis.study.predictions(run) for run in runs.run_id]
    except MissingArtifactError as error:
        return found | {"reason": f"no interval on test: {error}"}
    correct = np.stack([one.correct for one in said]).astype(float)
    alpha = analysis.alpha_of_intervals
    interval = statistics.accuracy_interval(correct, groups=said[0].groups, alpha=alpha)
    found |= {"test_ci_low": interval.low, "test_ci_high": interval.high}
    kept = ~said[0].has_twin
    return found | {"test_accuracy_without_twins": correct[:, kept].mean() if kept.any() else np.nan}


def _scored(analysis: Analysis) -> Iterator[dict[str, Any]]:
    """Models made elsewhere, best first: one network each, so that nothing can be claimed of them."""
    frame = analysis.study.evaluations
    frame = frame[(frame.stage == names.SCORED) & (frame.state == names.COMPLETE)]
    for run in each(frame.sort_values("val_accuracy", ascending=False, kind="stable")):
        row = {name: getattr(run, name) for name in (*FACTS, "run_id", "state", "reason", "candidate", "ece")}
        row |= {name: getattr(run, name) for name in ("val_accuracy", "val_macro_f1", "val_loss")}
        row |= {
            "architecture": run.label, "stage": names.SCORED, "ranking_split": "validation",
            "verdict": "underpowered", "baseline": False, "n_seeds": 1,
        }  # fmt: skip
        try:
            said = analysis.study.predictions(run.run_id)
        except MissingArtifactError as error:
            yield row | {"reason": f"no interval: {error}"}
            continue
        right, alpha = said.correct[None].astype(float), analysis.alpha_of_intervals
        interval = statistics.accuracy_interval(right, groups=said.groups, alpha=alpha)
        yield row | {
            "val_accuracy_se": interval.se,
            "val_accuracy_ci_low": interval.low,
            "val_accuracy_ci_high": interval.high,
        }


def _published(analysis: Analysis) -> Iterator[dict[str, Any]]:
    """Rows from elsewhere; their train numbers were measured while training. Intervals come from n alone."""
    for one in analysis.study.about.get("published") or []:
        row = {
            name: one.get(name) for name in ("architecture", "family", "variant", *names.ARCH_FACTS, "group")
        }
        number = {name: _number(one.get(name)) for name in _PUBLISHED_NUMBERS}
        low, high = _wilson(number["val_accuracy"], one.get("n"))
        test_low, test_high = _wilson(number["test_accuracy"], one.get("n_test"))
        yield row | {
            "parameters": one.get("parameters"),
            "state": PUBLISHED, "stage": PUBLISHED, "verdict": PUBLISHED, "baseline": False,
            "ranking_split": "as published",
            "val_accuracy": number["val_accuracy"], "val_accuracy_ci_low": low, "val_accuracy_ci_high": high,
            "val_loss": number["val_loss"],
            "train_clean_accuracy": number["train_accuracy"], "train_clean_loss": number["train_loss"],
            "gap_accuracy": number["train_accuracy"] - number["val_accuracy"],
            "gap_loss": number["val_loss"] - number["train_loss"],
            "test_accuracy": number["test_accuracy"], "test_ci_low": test_low, "test_ci_high": test_high,
            "reason": "; ".join(text for text in (one.get("note"), _leak(one.get("leak"))) if text),
        }  # fmt: skip


_PUBLISHED_NUMBERS = (
    "train_accuracy",
    "train_loss",
    "val_accuracy",
    "val_loss",
    "test_accuracy",
    "test_loss",
)


def _leak(text: str | None) -> str:
    return f"leak: {text}" if text else ""


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _wilson(accuracy: float, images: int | None) -> tuple[float, float]:
    return statistics.wilson(accuracy, images) if images and np.isfinite(accuracy) else (np.nan, np.nan)


def _explored(analysis: Analysis) -> dict[str, Any]:
    """Candidate to its explore run that tells most, monitor columns renamed."""
    frame = analysis.study.evaluations
    frame = frame[(frame.stage == names.EXPLORE) & (frame.state != names.DUPLICATE)]
    frame = frame.assign(**{ours: frame[metric] for ours, metric in ON_MONITOR.items()})
    frame = frame.assign(rank=frame.state.map(_state_rank)).sort_values(["rank", "trial"], kind="stable")
    frame = frame.assign(candidate=frame.candidate.where(frame.candidate != "", frame.run_id))
    return {row.candidate: row for row in each(frame.drop_duplicates("candidate"))}


def _rest(analysis: Analysis, explored: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Explored candidates that were not confirmed."""
    frame = analysis.study.evaluations
    confirmed = set(frame.candidate[frame.stage == names.CONFIRM])
    metric = analysis.objective_in_explore
    sign = 1 if analysis.rule.objective == "loss" else -1

    def place(run: Any) -> tuple[int, float, int]:
        score = sign * float(getattr(run, metric))
        return _state_rank(run.state), score if np.isfinite(score) else np.inf, int(run.trial)

    left = (run for candidate, run in explored.items() if candidate not in confirmed)
    for run in sorted(left, key=place):
        yield {
            **{name: getattr(run, name) for name in (*FACTS, *ON_MONITOR, "run_id", "state", "reason")},
            **{name: getattr(run, name) for name in ("seconds", "best_epoch", "epochs", "overfit_slope")},
            "architecture": analysis.labels.get(run.candidate, run.label or f"trial {run.trial}"),
            "candidate": run.candidate,
            "train_clean_accuracy": run.train_clean_accuracy,
            "train_clean_loss": run.train_clean_loss,
            "n_seeds": int(run.state == names.COMPLETE),
            "stage": names.EXPLORE,
            "ranking_split": "monitor",
            "baseline": bool(run.baseline),
            "verdict": "infeasible" if run.state == names.INFEASIBLE else "explored",
        }
