"""Results from a table become a study that reports, frames and lists treat as any other."""

import sys
from pathlib import Path

import pytest

import reports
from experiments.cli import main
from experiments.workflows.records.runs import stored_studies
from reports.analysis import Analysis, analyse
from reports.records.study import load_study
from search.tracking import names
from search.workspace import Workspace
from tests.support.studies.mlflow_study import write
from tests.support.studies.simulated import Simulation
from tests.support.studies.stores import new_store

HEADING = "arch,seed,val_acc,train_acc,params,n_val\n"
ROWS = "".join(
    f"{arch},{seed},{value + seed / 1000},{value + 0.1},{size},2000\n"
    for arch, value, size in (("wide", 0.70, 9000), ("deep", 0.55, 4000))
    for seed in (1, 2, 3, 4)
)

#: What a row of a comparison must share with the row of the study that it was copied from.
FIELDS = (
    "val_accuracy", "val_accuracy_se", "val_accuracy_ci_low", "val_accuracy_ci_high", "delta_to_best",
    "delta_ci_low", "delta_ci_high", "p_above",
)  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    new_store(tmp_path / "runs")
    return Workspace.at(tmp_path / "runs")


def _run(command: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["candor", *map(str, command)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_a_table_becomes_a_study_and_grows(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "results.csv"
    file.write_text(HEADING + ROWS)
    command = ["import", str(file), "--name", "widths", "--workspace", str(workspace.folder)]
    assert _run([*command, "--dry-run"], monkeypatch) == 0
    assert stored_studies(workspace, workspace.tracking_uri) == []
    assert "2 candidates by `arch`; 4 seeds each by `seed`" in capsys.readouterr().out
    assert _run(command, monkeypatch) == 0
    assert "8 runs added, 0 changed" in capsys.readouterr().out
    study = load_study("widths", workspace.tracking_uri)
    frame = study.evaluations
    assert list(frame.val_accuracy[frame.label == "arch wide"]) == pytest.approx([0.701, 0.702, 0.703, 0.704])
    assert set(frame.parameters) == {9000, 4000}
    assert frame.train_clean_accuracy.isna().all(), "it was measured while training, for all we know"
    train = {round(run.metrics["reported_train_accuracy"], 9) for run in study.runs.values()}
    assert train == {0.8, 0.65}
    assert study.run.tags[names.SOURCE] == "csv:results.csv"

    assert _run(command, monkeypatch) == 0
    assert "0 runs added, 0 changed" in capsys.readouterr().out
    changed = ROWS.replace("wide,1,0.701", "wide,1,0.711").replace("deep,4,", "deep,5,")
    file.write_text(HEADING + "new,1,0.3,0.4,10,2000\n" + changed)
    assert _run(command, monkeypatch) == 0
    assert "2 runs added, 1 changed; 1 removed that the source has no longer" in capsys.readouterr().out
    after = load_study("widths", workspace.tracking_uri).evaluations.set_index("key")
    assert len(after) == 9
    for key, row in frame.set_index("key").iterrows():
        if row.label != "arch deep" or row.seed != 4:
            assert after.candidate[key] == row.candidate
    assert study.looks == 1
    assert load_study("widths", workspace.tracking_uri).looks == 2
    assert sorted(after.val_accuracy[after.label == "arch wide"])[-1] == pytest.approx(0.711)


def test_the_report_says_what_scores_allow(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "results.csv"
    file.write_text(HEADING + ROWS)
    _run(["import", str(file), "--name", "widths", "--workspace", str(workspace.folder)], monkeypatch)
    told = " ".join(reports.sentences_of("widths", workspace.tracking_uri))
    assert "2 candidates, 4 runs each, on 2,000 validation images: scores alone, no predictions." in told
    assert "arch wide has the highest mean, 70.2%" in told
    assert "better than every other candidate" in told
    page = reports.build(["widths"], workspace.tracking_uri, tmp_path / "reports").read_text()
    assert "better than every other candidate" in page
    assert "<dt>Test set</dt>" not in page
    assert "csv:results.csv" in page
    table = (tmp_path / "reports" / "widths" / "comparison.csv").read_text()
    assert table.splitlines()[1].startswith("arch wide,")


def test_a_study_of_a_search_is_never_added_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tracking = write(
        tmp_path / "runs", Simulation("mine", "ab12", explore=1, images=40, epochs=2, confirm=False)
    )
    before = load_study("mine", tracking).evaluations
    file = tmp_path / "results.csv"
    file.write_text(HEADING + ROWS)
    assert (
        _run(["import", str(file), "--name", "mine", "--workspace", str(tmp_path / "runs")], monkeypatch) == 2
    )
    assert "holds studies that were not imported" in capsys.readouterr().err
    assert len(load_study("mine", tracking).evaluations) == len(before)
    assert (
        _run(["import", str(file), "--name", "../x", "--workspace", str(tmp_path / "runs")], monkeypatch) == 2
    )


def test_a_study_logged_the_plain_way_gives_the_numbers_of_the_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mlflow import MlflowClient

    tracking = write(tmp_path / "own", Simulation("mine", "ab12", explore=4, images=200, epochs=2))
    original = analyse(load_study("mine", tracking))
    theirs = new_store(tmp_path / "theirs")
    client = MlflowClient(theirs)
    number = client.create_experiment("plain", artifact_location=(tmp_path / "art").as_uri())
    done = original.study.evaluations
    for run in done[(done.stage == names.CONFIRM) & (done.state == names.COMPLETE)].itertuples():
        mine = client.create_run(number).info.run_id
        client.log_param(mine, "architecture", original.labels[run.candidate])
        client.log_param(mine, "seed", run.seed)
        client.log_metric(mine, "val_accuracy", run.val_accuracy)
        file = original.study.store.artifact(original.study.runs[run.run_id], names.PREDICTIONS_NPZ)
        client.log_artifact(mine, str(file))
        client.set_terminated(mine)
    folder = tmp_path / "runs"
    new_store(folder)
    command = ["import", "mlflow:plain", "--tracking-uri", theirs, "--predictions", "predictions.npz"]
    command += ["--workspace", str(folder)]
    assert _run(command, monkeypatch) == 0
    assert "all runs have predictions of 200 images" in capsys.readouterr().out
    found = analyse(load_study("plain", Workspace.at(folder).tracking_uri))

    def numbers(analysis: Analysis) -> list[tuple[str, ...]]:
        rows = [row for row in analysis.rows if row.seeds_counted]
        return [(*(f"{getattr(row, field):.6f}" for field in FIELDS), str(row.n_seeds)) for row in rows]

    assert len(numbers(original)) > 1
    assert numbers(found) == numbers(original)
    assert found.comparison is not None
    assert found.disagreements == ()
    assert found.study.data["source"] == "mlflow:plain"
    assert _run(command, monkeypatch) == 0
    assert "0 runs added, 0 changed" in capsys.readouterr().out
    file = folder / "plain.study.zip"
    assert _run(["pack", "plain", "--workspace", str(folder), "--out", str(file)], monkeypatch) == 0
    assert numbers(analyse(load_study(str(file)))) == numbers(original)
    assert _run(["rm", "plain", "--yes", "--workspace", str(folder)], monkeypatch) == 0
    assert stored_studies(Workspace.at(folder), Workspace.at(folder).tracking_uri) == []


def test_another_source_never_mixes_with_the_first(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("first", "second"):
        (tmp_path / f"{name}.csv").write_text(HEADING + ROWS)
    more = ["--name", "widths", "--workspace", str(workspace.folder)]
    assert _run(["import", str(tmp_path / "first.csv"), *more], monkeypatch) == 0
    assert _run(["import", str(tmp_path / "second.csv"), *more], monkeypatch) == 2
    assert "widths holds results from csv:first.csv" in capsys.readouterr().err
    # Another guess about the same source replaces what the first one made.
    command = ["import", str(tmp_path / "first.csv"), *more, "--candidate", "arch,params"]
    assert _run(command, monkeypatch) == 0
    assert "8 runs added, 0 changed; 8 removed that the source has no longer" in capsys.readouterr().out
    assert len(load_study("widths", workspace.tracking_uri).evaluations) == 8


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (["missing.csv"], "there is no file missing.csv"),
        (["wandb:project"], "is no source that can be imported"),
        (["mlflow:x", "--tracking-uri", "http://127.0.0.1:9"], "does not answer"),
        (["optuna:sqlite:///missing.db"], "there is no file missing.db"),
        (["keras-tuner:missing"], "is no project of Keras Tuner"),
        (["{arch}-{seed}.npz"], "no file fits"),
    ],
)
def test_a_source_that_cannot_be_read_writes_nothing(
    source: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _run(["import", *source], monkeypatch) == 2
    told = capsys.readouterr().err
    assert says in told
    assert len(told.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
