"""A study in one file: small, without its machine, reported alike, merged, continued elsewhere."""

import io
import json
import shutil
import sqlite3
import sys
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from rich.console import Console
from trained_study import Trained

import reports
from experiments.cli import main
from experiments.schema.experiment import ExperimentConfig
from experiments.workflows.console.progress import Progress
from experiments.workflows.records.pack import pack
from experiments.workflows.records.runs import find_study, stored_studies
from experiments.workflows.records.unpack import unpack
from experiments.workflows.study import search
from experiments.workflows.study.context import RunContext
from reports.records.study import load_packed, load_study
from search.archives import container, content
from search.tracking import names
from search.workspace import Workspace
from spaces.errors import UserError
from tests.support.studies.mlflow_study import write
from tests.support.studies.simulated import Simulation
from tests.support.studies.stores import new_store

pytestmark = pytest.mark.slow  # packs and reads whole studies

USER, HOST, HOME = "jane-roe-9177", "host-zq91-lab", "/home/jane-roe-9177"


def _pack(workspace: Workspace, experiment: str, out: Path, **options: bool) -> Path:
    stored = find_study(experiment, stored_studies(workspace, workspace.tracking_uri))
    return pack(stored, RunContext(workspace), out, say=lambda _: None, **options)


def _empty(folder: Path) -> Workspace:
    new_store(folder)
    return Workspace.at(folder)


def _report(experiment: str, tracking_uri: str, folder: Path) -> dict[str, bytes]:
    reports.build([experiment], tracking_uri, folder)
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and not file.name.startswith(".")
    }


@pytest.fixture(scope="module")
def full_size(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A study of 42 evaluations on 3,589 images."""
    folder = tmp_path_factory.mktemp("full")
    write(folder, Simulation("sized", "5123de", grid=True, seeds=7, images=3589, epochs=20, looks=2))
    return Workspace.at(folder)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("small")
    write(folder, Simulation("small", "5a11", explore=4, leaders=2, seeds=3, images=120, epochs=3))
    return Workspace.at(folder)


def test_42_evaluations_take_under_4_mb_and_report_the_same_bytes(
    full_size: Workspace, tmp_path: Path
) -> None:
    file = _pack(full_size, "sized", tmp_path / "sized.study.zip")
    assert file.stat().st_size < 4_000_000
    before = _report("sized", full_size.tracking_uri, tmp_path / "before")
    after = _report(str(file), "", tmp_path / "after")
    assert sorted(after) == sorted(before)
    assert [name for name in before if before[name] != after[name]] == []
    assert _pack(full_size, "sized", file).stat().st_size == file.stat().st_size


def test_load_study_gives_the_frames_of_a_file(small: Workspace, tmp_path: Path) -> None:
    there = load_study("small", small.tracking_uri)
    here = reports.load_study(str(_pack(small, "small", tmp_path / "small.study.zip")))
    pd.testing.assert_frame_equal(here.evaluations, there.evaluations)
    pd.testing.assert_frame_equal(here.settings, there.settings)
    pd.testing.assert_frame_equal(here.history, there.history)
    confirmed = there.evaluations.run_id[there.evaluations.stage == names.CONFIRM]
    for run in confirmed:
        for name, array in vars(there.predictions(run)).items():
            assert np.array_equal(getattr(here.predictions(run), name), array)


def _without(workspace: Workspace, seed: str) -> None:
    """Forget the confirm evaluations of one seed."""
    client, study = MlflowClient(workspace.tracking_uri), load_study("small", workspace.tracking_uri)
    for run in study.runs.values():
        if run.tags.get(names.STAGE) == names.CONFIRM and run.tags.get(names.SEED) == seed:
            client.delete_run(run.run_id)


def test_parts_of_a_study_merge_by_evaluation(small: Workspace, tmp_path: Path) -> None:
    whole = _pack(small, "small", tmp_path / "whole.study.zip")
    parts = []
    for seed in ("1", "3"):
        place = _empty(tmp_path / seed)
        assert unpack(whole, place).added == len(load_study("small", small.tracking_uri).runs) + 1
        _without(place, seed)
        parts.append(_pack(place, "small", tmp_path / f"without{seed}.study.zip"))
    (one,) = load_packed([whole])
    (union,) = load_packed(parts)
    pd.testing.assert_frame_equal(union.evaluations, one.evaluations)
    assert union.looks == 3, "one look of each part, and one at the union"
    (same,) = load_packed([whole, parts[0]])
    assert (same.looks, len(same.evaluations)) == (1, len(one.evaluations))

    place = Workspace.at(tmp_path / "3")
    before = load_study("small", place.tracking_uri)
    assert unpack(parts[0], place).added == len(one.evaluations) - len(before.evaluations)
    assert unpack(parts[0], place).added == 0
    after = load_study("small", place.tracking_uri)
    pd.testing.assert_frame_equal(after.evaluations, one.evaluations)
    assert after.looks == 3
    run = after.evaluations.run_id[after.evaluations.seed == 3].iloc[0]
    assert after.predictions(run).accuracy == pytest.approx(
        after.evaluations.set_index("run_id").val_accuracy[run]
    )
    assert {
        child.tags["mlflow.parentRunId"]
        for child in after.runs.values()
        if "mlflow.parentRunId" in child.tags
    } <= {after.run.run_id}


def test_two_results_of_one_evaluation_are_refused_by_name(small: Workspace, tmp_path: Path) -> None:
    whole = _pack(small, "small", tmp_path / "whole.study.zip")
    place = _empty(tmp_path / "other")
    unpack(whole, place)
    study = load_study("small", place.tracking_uri)
    row = study.evaluations[study.evaluations.stage == names.CONFIRM].iloc[0]
    MlflowClient(place.tracking_uri).log_metric(row.run_id, "val_accuracy", 0.123, step=1)
    other = _pack(place, "small", tmp_path / "other.study.zip")
    with pytest.raises(UserError, match=rf"evaluation {row.key} has another val_accuracy"):
        load_packed([whole, other])
    before = place.folder.joinpath("mlflow.db").read_bytes()
    with pytest.raises(UserError, match=rf"evaluation {row.key} has another val_accuracy"):
        unpack(whole, place)
    assert place.folder.joinpath("mlflow.db").read_bytes() == before


def _named(data: bytes, where: str, words: tuple[str, ...]) -> list[str]:
    """Where any of the words stands, in a file and in the files in it."""
    found = [f"{word} in {where}" for word in words if word.encode() in data]
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                found += _named(name.encode() + b"\n" + archive.read(name), f"{where}/{name}", words)
    return found


@pytest.fixture(scope="module")
def planted(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The trained study as somebody else's machine would have recorded it."""
    folder = tmp_path_factory.mktemp("planted")
    file = _pack(trained.workspace, "recorded", folder / "first.study.zip", models=True)
    workspace = _empty(folder / "runs")
    unpack(file, workspace)
    client, study = MlflowClient(workspace.tracking_uri), load_study("recorded", workspace.tracking_uri)
    for run in (study.run, *study.runs.values()):
        for key, value in {
            names.HOST: HOST,
            names.PID: "471100471100",
            names.REASON: f"no such file: {HOME}/lab/x.npy",
            "mlflow.user": USER,
            "mlflow.source.name": f"{HOME}/lab/run.py",
            "mlflow.source.git.repoURL": f"https://{USER}:pw@{HOST}/x.git",
        }.items():
            client.set_tag(run.run_id, key, value)
    about = dict(study.about)
    about["command"] = (
        f"candor search x --data {HOME}/fer.zip --storage postgresql+psycopg://{USER}:pw@{HOST}/db"
    )
    about["data"] = {**about["data"], "source": f"{HOME}/data/fer.zip"}
    client.log_text(study.run.run_id, json.dumps(about), names.STUDY_JSON)
    toml = (
        workspace.artifacts / "recorded" / study.run.run_id / "artifacts" / names.EXPERIMENT_TOML
    ).read_text()
    toml = toml.replace("synthetic:train=200,validation=90,test=40", f"{HOME}/data/fer.zip")
    assert HOME in toml
    client.log_text(study.run.run_id, toml, names.EXPERIMENT_TOML)
    checkpoint = workspace.checkpoints / f"{study.study_id}-confirm-0-9" / "checkpoint"
    checkpoint.mkdir(parents=True)
    np.savez(checkpoint / "state.npz", weights=np.ones(3))
    return workspace


def test_nothing_of_the_machine_is_in_it(planted: Workspace, tmp_path: Path) -> None:
    file = _pack(planted, "recorded", tmp_path / "told.study.zip", models=True, checkpoints=True)
    words = (
        USER,
        HOST,
        HOME,
        "471100471100",
        str(planted.folder),
        str(Path.home()) + "/",
        str(Path.cwd()),
    )
    assert _named(file.read_bytes(), file.name, words) == []
    with zipfile.ZipFile(file) as archive:
        held = archive.namelist()
    study = load_study(str(file))
    models = list(planted.artifacts.rglob(names.MODEL_KERAS))
    assert sum(name.endswith(names.MODEL_KERAS) for name in held) == len(models) > 0
    assert f"{content.CHECKPOINTS}/{study.study_id}-confirm-0-9/checkpoint/state.npz" in held
    assert {run.tags[names.HOST] for run in study.runs.values()} == {"machine 1"}
    assert {run.tags[names.REASON] for run in study.runs.values()} == {"no such file: x.npy"}
    before = _report("recorded", planted.tracking_uri, tmp_path / "before")
    assert before == _report(str(file), "", tmp_path / "after")
    told = b"".join(before.values())
    assert [word for word in (USER, HOST, HOME) if word.encode() in told] == []


def test_without_pictures_no_image_of_the_data_is_in_it(trained: Trained, tmp_path: Path) -> None:
    whole = _pack(trained.workspace, "recorded", tmp_path / "whole.study.zip")
    bare = _pack(trained.workspace, "recorded", tmp_path / "bare.study.zip", pictures=False)
    pictures = (".png", ".html", ".jpg", ".svg")
    shown = [name for name in zipfile.ZipFile(whole).namelist() if name.endswith(pictures)]
    assert {Path(name).name for name in shown} >= {"tiles.png", "audit.html"}
    assert [name for name in zipfile.ZipFile(bare).namelist() if name.endswith(pictures)] == []
    before, after = (_report(str(file), "", tmp_path / file.stem) for file in (whole, bare))
    tables = [name for name in before if name.endswith((".csv", ".md", ".tex"))]
    assert tables
    assert [name for name in tables if before[name] != after[name]] == []


def test_it_goes_on_elsewhere_with_the_same_id(trained: Trained, tmp_path: Path) -> None:
    file = _pack(trained.workspace, "recorded", tmp_path / "recorded.study.zip")
    workspace = Workspace.at(tmp_path / "runs")
    done = unpack(file, workspace)
    before = load_study("recorded", workspace.tracking_uri)
    assert (done.study, done.evaluations) == (trained.study().study_id, len(trained.study().evaluations))
    experiment = ExperimentConfig.load(done.file).override({"protocol.seeds": 3})
    progress = Progress(Console(file=io.StringIO()), quiet=True)
    finished = search.search(experiment, RunContext(workspace, workers=1), progress)
    assert (finished.study, finished.over, finished.waiting) == (done.study, True, 0)
    after = load_study("recorded", workspace.tracking_uri)
    old = after.evaluations[after.evaluations.run_id.isin(before.evaluations.run_id)].reset_index(drop=True)
    pd.testing.assert_frame_equal(old, before.evaluations)
    assert sorted(after.evaluations.seed[after.evaluations.stage == names.CONFIRM]) == [1, 2, 3]
    assert {run.tags["mlflow.parentRunId"] for run in after.runs.values()} == {before.run.run_id}

    client = MlflowClient(workspace.tracking_uri)
    run = client.get_run(before.evaluations.run_id.iloc[-1])
    assert {item.path for item in client.list_artifacts(run.info.run_id)} >= {
        names.PREDICTIONS_NPZ,
        names.GALLERY_PNG,
    }
    assert Path(client.download_artifacts(run.info.run_id, names.EVALUATION_JSON)).is_file()
    assert [used.dataset.name for used in client.get_run(before.run.run_id).inputs.dataset_inputs]


def _said(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[object, str]:
    monkeypatch.setattr(sys, "argv", ["candor", *command])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code, capsys.readouterr().err


def test_a_bad_file_gets_one_sentence_and_exit_code_2(
    small: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = _pack(small, "small", tmp_path / "small.study.zip")
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    container.extract(whole, unpacked)
    page = next(unpacked.rglob("audit.html"))
    original, database = page.read_text(), unpacked / content.MLFLOW_DB
    rows = database.read_bytes()

    def spoilt(name: str) -> Path:
        file = tmp_path / f"{name}.study.zip"
        container.write(file, unpacked, study="5a11", experiment="small", about={})
        return file

    page.write_text(original + "<img src=x onerror=alert(1)>")
    bad = {"page": (spoilt("page"), "runs something in a browser")}
    page.write_text(original)
    for name, change, says in (
        (
            "view",
            "ALTER TABLE params RENAME TO p2; CREATE VIEW params AS SELECT * FROM p2",
            "has no table params",
        ),
        (
            "stranger",
            "UPDATE tags SET value = 'beef' WHERE key = 'candor.study'",
            "does not hold study 5a11 alone",
        ),
        ("path", "UPDATE runs SET run_uuid = '../../../../x' WHERE name LIKE 'study%'", "an id that MLflow"),
    ):
        with closing(sqlite3.connect(database)) as connection:
            connection.executescript(change)
        bad[name] = (spoilt(name), says)
        database.write_bytes(rows)
    database.write_bytes(b"no database")
    bad["text"] = (spoilt("text"), "is no database")
    (tmp_path / "empty.study.zip").touch()
    bad["empty"] = (tmp_path / "empty.study.zip", "no packed study")
    for name, (file, says) in bad.items():
        for command in (
            ["report", str(file), "--out", str(tmp_path / "out")],
            ["unpack", str(file), "--workspace", str(tmp_path / "w")],
        ):
            code, told = _said(command, monkeypatch, capsys)
            assert code == 2, (name, told)
            assert says in told
            assert told.strip().count("\n") == 0
    assert not (tmp_path / "out").exists()


def test_packing_never_replaces_another_file(small: Workspace, tmp_path: Path) -> None:
    there = tmp_path / "mine.study.zip"
    there.write_text("mine")
    with pytest.raises(UserError, match="holds something else"):
        _pack(small, "small", there)
    assert there.read_text() == "mine"
    with pytest.raises(UserError, match="there is no folder"):
        _pack(small, "small", tmp_path / "none" / "x.study.zip")
    with pytest.raises(UserError, match=r"ends in \.study\.zip"):
        _pack(small, "small", tmp_path / "x.tar")
    shutil.copy(_pack(small, "small", tmp_path / "a.study.zip"), tmp_path / "b.study.zip")
    assert _pack(small, "small", tmp_path / "b.study.zip").is_file()
