"""The comparison says what MLflow holds: one row a candidate, fixed columns, no split mixed with another."""

import csv
import io
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reports import columns, formats
from reports.analysis import Analysis, analyse
from reports.page import views
from reports.records.study import load_study
from reports.rows import comparison_rows
from reports.tables import ReportTable, table_names, tables
from tests.support.studies.simulated import PUBLISHED

#: The columns that users' scripts rely on; their names and order never change.
PROMISED = [
    "architecture",
    "family",
    "variant",
    "conv_stages",
    "kernels",
    "dense_layers",
    "neurons",
    "parameters",
    "macs",
    "seconds",
    "n_seeds",
    "state",
    "val_accuracy",
    "val_accuracy_se",
    "val_accuracy_ci_low",
    "val_accuracy_ci_high",
    "val_macro_f1",
    "val_loss",
    "val_accuracy_shrunk",
    "train_clean_accuracy",
    "train_clean_loss",
    "gap_accuracy",
    "gap_loss",
    "relative_overfit",
    "best_epoch",
    "epochs",
    "overfit_slope",
    "ece",
    "delta_to_best",
    "delta_ci_low",
    "delta_ci_high",
    "p_above",
    "p_equal",
    "p_below",
    "p_holm",
    "tied_for_best",
    "within_one_se",
    "pareto",
    "test_accuracy",
    "test_ci_low",
    "test_ci_high",
    "test_accuracy_without_twins",
    "leak_delta",
    "stage",
    "baseline",
    "verdict",
]
WORDS = {
    "selected",
    "better",
    "tied",
    "worse",
    "overfit",
    "underpowered",
    "infeasible",
    "explored",
    "published",
}


@pytest.fixture(scope="module")
def rows(joint: Analysis) -> pd.DataFrame:
    return comparison_rows(joint)


def table(analysis: Analysis, name: str) -> ReportTable:
    return {each.name: each for _, each in tables(analysis, comparison_rows(analysis))}[name]


def test_the_csv_begins_with_the_promised_columns(rows: pd.DataFrame) -> None:
    header = next(csv.reader(io.StringIO(formats.to_csv(rows))))
    assert header[: len(PROMISED)] == PROMISED


def test_every_candidate_has_one_row_and_a_known_verdict(rows: pd.DataFrame, joint: Analysis) -> None:
    ours = rows[rows.stage != "published"]
    assert not ours.candidate.duplicated().any()
    assert set(ours.candidate) == set(joint.study.evaluations.query("state != 'duplicate'").candidate)
    assert set(rows.verdict) <= WORDS
    assert (rows.verdict == "selected").sum() == 1


def test_confirmed_rows_are_means_over_their_seeds(rows: pd.DataFrame, joint: Analysis) -> None:
    for _, row in rows[rows.stage == "confirm"].iterrows():
        runs = joint.runs_of(row.candidate)
        assert row.n_seeds == len(runs) == 4
        assert row.val_accuracy == pytest.approx(runs.val_accuracy.mean())
        assert row.val_accuracy_se_seeds == pytest.approx(runs.val_accuracy.std() / 2)
        assert row.val_accuracy_ci_low < row.val_accuracy < row.val_accuracy_ci_high
        assert row.val_accuracy_se > 0


def test_monitor_and_validation_never_share_a_column(rows: pd.DataFrame) -> None:
    explored = rows[rows.stage == "explore"]
    assert explored[[name for name in rows if name.startswith(("val_", "gap_", "delta_"))]].isna().all().all()
    assert explored[["relative_overfit", "ece"]].isna().all().all()
    assert (explored.ranking_split == "monitor").all()
    assert explored.monitor_accuracy.notna().sum() > 3


def test_what_did_not_finish_stays_with_its_reason(rows: pd.DataFrame) -> None:
    unfinished = rows[rows.state.isin(["pruned", "infeasible", "diverged", "failed"])]
    assert set(unfinished.state) == {"pruned", "infeasible", "diverged", "failed"}
    assert (unfinished.reason != "").all()
    assert set(rows[rows.state == "infeasible"].verdict) == {"infeasible"}


def test_published_rows_keep_their_numbers_and_get_intervals_from_n(rows: pd.DataFrame) -> None:
    published = rows[rows.stage == "published"]
    assert published.val_accuracy.tolist() == [row["val_accuracy"] for row in PUBLISHED]
    width = published.val_accuracy_ci_high - published.val_accuracy_ci_low
    assert width.between(0.021, 0.023).all()
    assert published.reason.str.contains("leak: ").all()
    assert published.delta_to_best.isna().all()


def test_test_numbers_stand_where_the_test_set_was_opened(rows: pd.DataFrame, joint: Analysis) -> None:
    opened = rows[rows.test_accuracy.notna() & (rows.stage == "confirm")]
    assert set(opened.candidate) == set(joint.study.unsealings.candidate)
    assert (opened.test_ci_low < opened.test_accuracy).all()
    assert (opened.test_accuracy_without_twins < opened.test_accuracy).all()


def test_at_most_a_dozen_columns_are_shown_first_and_those_vary(joint: Analysis, grid: Analysis) -> None:
    for analysis in (joint, grid):
        shown = table(analysis, "comparison")
        assert len(shown.first) <= columns.FIRST
        assert {"architecture", "verdict", "val_accuracy"} <= set(shown.first)
        assert set(shown.first) <= set(shown.columns)
    assert "n_seeds" not in table(grid, "comparison").first  # every cell has three


def test_a_row_whose_predictions_are_lost_stays_and_says_why(tracking_uri: str) -> None:
    analysis = analyse(load_study("lossy", tracking_uri))
    row = comparison_rows(analysis).iloc[0]
    found = comparison_rows(analysis).query("reason != '' and stage == 'confirm'")
    assert found.reason.tolist() == [
        "2 of 3 seeds not compared: predictions.npz is not among the run's artifacts"
    ]
    assert np.isfinite(row.val_accuracy)


def test_a_study_without_evaluations_has_no_rows(empty: Analysis) -> None:
    rows = comparison_rows(empty)
    assert rows.empty
    assert list(rows.columns[: len(PROMISED)]) == PROMISED
    assert tables(empty, rows) == []


def test_states_count_every_evaluation_once(joint: Analysis) -> None:
    counts = table(joint, "states").rows
    assert counts.evaluations.sum() == len(joint.study.evaluations)


def test_markdown_has_one_line_a_row(joint: Analysis) -> None:
    shown = table(joint, "comparison")
    lines = [line for line in formats.to_markdown(shown).splitlines() if line.startswith("|")]
    assert len(lines) == len(shown.rows) + 2
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1


@pytest.mark.parametrize(
    ("value", "read", "text"),
    [
        (0.74321, columns.percent, "74.3"),
        (-0.0123, columns.points, "−1.2"),
        (0.0123, columns.points, "+1.2"),
        (1e-9, columns.points, "0.0"),
        (1_452_288, columns.size, "1.45 M"),
        (999_600, columns.size, "1 M"),
        (999, columns.size, "999"),
        (0.0004, columns.chance, "< 0.001"),
        (90, columns.duration, "90 s"),
        (4000, columns.duration, "67 min"),
    ],
)
def test_numbers_read_as_people_write_them(value: float, read: object, text: str) -> None:
    assert callable(read)
    assert read(value) == text


def test_only_the_best_is_called_so_and_a_tie_has_its_interval() -> None:
    column = columns.distance("val_accuracy")
    best = {"delta_to_best": 0.0, "delta_ci_low": np.nan, "delta_ci_high": np.nan}
    assert column.aside(best) == "the best"
    assert column.aside({**best, "delta_ci_low": -0.01, "delta_ci_high": 0.01}) == "−1.0 to +1.0"


def test_signs_of_markup_in_a_name_are_shown_as_they_are(joint: Analysis) -> None:
    shown = table(joint, "comparison")
    odd = replace(shown, title="a_b", rows=shown.rows.assign(architecture="[12] <net> __init__ *x*"))
    markdown, latex = formats.to_markdown(odd), formats.to_latex(odd)
    assert markdown.startswith(r"**a\_b.** Every")
    assert markdown.count("\n" + r"| [12] &lt;net> \_\_init\_\_ \*x\* ") == len(odd.rows)
    row = r"{[}12] \textless{}net\textgreater{} \_\_init\_\_ {*}x{*} "
    assert latex.count("\n" + row) == len(odd.rows)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles_in_a_real_document(joint: Analysis, tmp_path: Path) -> None:
    found = [each for _, each in tables(joint, comparison_rows(joint))]
    odd = r"[12] *x* 50% & more_or_less #1 {x} \y ~z ^w $5 <a>"
    found[0].rows.loc[found[0].rows.index[0], "architecture"] = odd
    body = "\n".join(formats.to_latex(each) for each in found)
    preamble = r"\documentclass{article}\usepackage[utf8]{inputenc}\usepackage{booktabs,graphicx}"
    source = f"{preamble}\n\\begin{{document}}\n{body}\n\\end{{document}}\n"
    (tmp_path / "paper.tex").write_text(source, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "paper.pdf").exists()


@pytest.mark.slow
def test_the_difference_from_the_best_is_told_in_the_units_of_the_objective(
    joint: Analysis, tracking_uri: str
) -> None:
    def described(objective: str) -> tuple[str, str, str]:
        about = {**joint.study.about, "protocol": {**joint.study.protocol, "objective": objective}}
        analysis = analyse(replace(load_study("joint", tracking_uri), about=about))
        column = table(analysis, "comparison").described(["delta_to_best"])[0]
        chosen = views.chosen(analysis)
        assert chosen is not None
        return column.title, column.read(-0.0123), dict(chosen.facts)["Distance from the best"]

    for objective, unit, text in (
        ("val_accuracy", "points", "−1.2"),
        ("macro_f1", "points of macro F1", "−1.2"),
        ("loss", "nats", "−0.012"),
    ):
        title, read, distance = described(objective)
        assert (title, read) == (f"To the best, {unit}", text)
        assert distance.endswith(f" {unit}")


def test_a_table_is_called_like_its_file(joint: Analysis) -> None:
    """Asked of a study that has them all: it trained on copies of its evaluation images."""
    about = {**joint.study.about, "protocol": {**joint.study.protocol, "leaks": "report"}}
    copied = np.arange(len(joint.confirmed[0].labels)) < 20
    leaky = replace(
        joint,
        study=replace(joint.study, about=about),
        confirmed=tuple(replace(one, has_twin=copied) for one in joint.confirmed),
    )
    assert {each.name for _, each in tables(leaky, comparison_rows(leaky))} == set(table_names())


def test_a_search_for_small_networks_has_the_front_of_score_and_size(joint: Analysis) -> None:
    about = {**joint.study.about, "protocol": {**joint.study.protocol, "also_minimize": "parameters"}}
    rows = comparison_rows(replace(joint, study=replace(joint.study, about=about)))
    ours = rows[rows.stage == "confirm"]
    for _, row in ours.iterrows():
        smaller = ours[(ours.parameters < row.parameters) & (ours.val_accuracy >= row.val_accuracy)]
        assert row.pareto == smaller.empty
