"""The page opens from disk, says loudly what must be said, and is the same whenever MLflow is."""

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import reports
from reports import style
from reports.analysis import analyse
from reports.page.links import Links
from reports.page.render import compute_figures, study_page
from reports.records.store import local_artifact
from reports.records.study import load_study
from reports.rows import comparison_rows
from reports.tables import tables
from search.tracking import names
from spaces.errors import UserError

MEGABYTE = 1_000_000


def page(folder: Path, experiment: str) -> str:
    return (folder / experiment / "index.html").read_text(encoding="utf-8")


def test_the_folder_holds_pages_tables_pictures_and_one_plotly(written: Path) -> None:
    assert (written / "index.html").exists()
    assert [path.name for path in written.rglob("*.js")] == ["plotly.min.js"]
    held = {path.suffix for path in (written / "joint").iterdir()}
    assert {".html", ".csv", ".md", ".tex"} <= held
    pictures = {path.name for path in (written / "joint" / "figures").iterdir()}
    assert {"forest.png", "forest.svg", "confusion.png"} <= pictures


def test_the_same_content_gives_the_same_bytes(written: Path, tracking_uri: str, tmp_path: Path) -> None:
    reports.build(["joint", "grid"], tracking_uri, tmp_path, ui_url="http://127.0.0.1:5000")
    files = [path for name in ("joint", "grid") for path in sorted((tmp_path / name).rglob("*.*"))]
    assert len(files) > 40
    for path in files:
        assert path.read_bytes() == (written / path.relative_to(tmp_path)).read_bytes(), path.name


def test_the_audit_of_the_data_lies_beside_the_page(written: Path) -> None:
    assert "Data audit" in (written / "joint" / "audit.html").read_text(encoding="utf-8")
    assert '<a href="audit.html">data audit</a>' in page(written, "joint")


@pytest.mark.slow
def test_one_experiment_opens_its_page_and_several_the_index(tracking_uri: str, tmp_path: Path) -> None:
    assert reports.build(["young"], tracking_uri, tmp_path) == tmp_path / "young" / "index.html"
    assert reports.build(["young", "empty"], tracking_uri, tmp_path) == tmp_path / "index.html"
    index = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert 'href="young/index.html"' in index
    assert 'href="empty/index.html"' in index


def test_a_page_needs_no_network_and_stays_small(written: Path) -> None:
    for name in ("joint", "grid", "young", "empty", "lossy"):
        text = page(written, name)
        assert len(text) < 3 * MEGABYTE
        loaded = re.findall(r'(?:src|srcset)="([^"]*)"|<link[^>]*href="([^"]*)"|url\(([^)]*)\)', text)
        assert not [one for group in loaded for one in group if re.match(r"(https?:)?//", one)]


@pytest.mark.slow
def test_the_self_contained_page_needs_no_other_file(tracking_uri: str) -> None:
    text = reports.self_contained("joint", tracking_uri)
    assert len(text) < 6 * MEGABYTE
    sources = re.findall(r'src="([^"]*)"', text)
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    body = re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
    assert "plotly" not in body.lower().split("<script>")[0]


def test_synthetic_data_are_called_so_loudly(written: Path) -> None:
    assert "<b>Synthetic data.</b>" in page(written, "young")
    assert "<b>Synthetic data.</b>" not in page(written, "joint")
    assert "synthetic data" in (written / "index.html").read_text(encoding="utf-8")


def test_a_running_study_says_how_far_it_is(written: Path) -> None:
    assert "Running, 3 of 4 explored." in page(written, "young")
    assert "Running, nothing evaluated yet." in page(written, "empty")
    assert "This page shows what is recorded so far" not in page(written, "joint")


def test_a_page_tells_what_the_study_was(written: Path) -> None:
    text = page(written, "joint")
    for fact in ("candor search joint --trials 16", "9b1f6c2d9b1f6c2d", "0123456789ab", "opened once", "tau"):
        assert fact in text


def test_every_mean_leads_to_its_runs_when_the_ui_is_known(written: Path, tracking_uri: str) -> None:
    study = load_study("joint", tracking_uri)
    links = Links("http://127.0.0.1:5000", study.experiment_id)
    text = page(written, "joint").replace("&#39;", "'").replace("&amp;", "&")
    for run in study.evaluations.query("stage == 'confirm'").run_id:
        assert links.run(run) in text
    for candidate in set(study.evaluations.query("stage == 'confirm'").candidate):
        assert links.candidate(candidate) in text
    assert re.search(r'<p>[^<]*<a class="arch" href="http://127', text)  # names in sentences lead there too
    assert Links(None, "1").run("x") == ""


@pytest.mark.slow
def test_logged_numbers_that_the_predictions_contradict_are_denounced(tracking_uri: str) -> None:
    study = load_study("joint", tracking_uri)
    frame = study.evaluations
    wrong = frame.index[frame.stage == names.CONFIRM][0]
    frame.loc[wrong, "val_accuracy"] += 0.01
    analysis = analyse(study)
    assert len(analysis.disagreements) == 1
    text = study_page(analysis, tables(analysis, comparison_rows(analysis)), compute_figures(analysis))
    assert "Do not trust this page yet" in text
    assert analysis.disagreements[0] in text


def test_numbers_that_agree_are_not_denounced(written: Path) -> None:
    assert "Do not trust" not in page(written, "joint")


def test_predictions_on_other_images_are_left_out_and_said(tracking_uri: str, tmp_path: Path) -> None:
    study = load_study("grid", tracking_uri)
    run = study.runs[study.evaluations.run_id.iloc[-1]]
    path = local_artifact(run, names.PREDICTIONS_NPZ)
    assert path is not None
    shutil.copy(path, tmp_path / "kept.npz")
    held = dict(np.load(path, allow_pickle=False))
    try:
        np.savez(path, **{**held, "ids": np.char.add(held["ids"], "x")})
        analysis = analyse(study)
    finally:
        shutil.copy(tmp_path / "kept.npz", path)
    assert analysis.missing == {run.run_id: "it was judged on other images than the rest of the study"}


def test_names_cannot_break_the_page(tracking_uri: str) -> None:
    study = load_study("young", tracking_uri)
    bad = "</script><img src=x onerror=alert(1)>"
    study = replace(study, about={**study.about, "question": bad, "command": bad})
    frame = study.evaluations
    frame["label"] = bad
    analysis = analyse(study)
    text = study_page(analysis, tables(analysis, comparison_rows(analysis)), compute_figures(analysis))
    assert "<img src=x" not in text


def test_a_verdict_needs_something_confirmed(tracking_uri: str) -> None:
    assert reports.verdict_of("joint", tracking_uri).selected
    with pytest.raises(UserError, match="No candidate of young has a finished confirm evaluation"):
        reports.verdict_of("young", tracking_uri)
    assert reports.sentences_of("young", tracking_uri)


def test_an_experiment_that_is_not_there_is_an_error_of_the_user(tracking_uri: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no experiment nothing"):
        reports.build(["nothing"], tracking_uri, tmp_path)


@pytest.mark.slow
def test_pages_that_were_written_before_stay_in_the_index(tracking_uri: str, tmp_path: Path) -> None:
    reports.build(["young"], tracking_uri, tmp_path)
    reports.build(["empty"], tracking_uri, tmp_path)
    assert 'href="young/index.html"' in (tmp_path / "index.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_what_an_earlier_study_left_goes_and_what_is_no_reports_stays(
    tracking_uri: str, tmp_path: Path
) -> None:
    folder = tmp_path / "young"
    folder.mkdir()
    left = ("model_card.md", "model_card.html", "mistakes.md", "mistakes.tex")
    for name in (*left, "comparison.md", "notes.md"):
        (folder / name).write_text("old")
    reports.build(["young"], tracking_uri, tmp_path, force=True)
    assert [name for name in left if (folder / name).exists()] == []
    assert (folder / "comparison.md").read_text(encoding="utf-8") != "old"
    assert (folder / "notes.md").read_text() == "old"
    assert (folder / "audit.html").exists()


@pytest.mark.slow
def test_a_report_overwrites_and_removes_nothing_of_somebody_else(tracking_uri: str, tmp_path: Path) -> None:
    mine = tmp_path / "young" / "figures" / "mine.png"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    reports.build(["young"], tracking_uri, tmp_path)
    reports.build(["young"], tracking_uri, tmp_path)
    assert mine.read_text() == "mine"
    page = tmp_path / "young" / "index.html"
    page.write_text("mine")
    with pytest.raises(UserError, match="was not written by Candor, or was changed since"):
        reports.build(["young"], tracking_uri, tmp_path)
    assert page.read_text() == "mine"
    reports.build(["young"], tracking_uri, tmp_path, force=True)
    assert page.read_text() != "mine"
    assert mine.read_text() == "mine"


def test_nothing_is_written_outside_the_folder(written: Path) -> None:
    assert all(os.path.commonpath([written, path]) == str(written) for path in written.rglob("*"))


def luminance(colour: str) -> float:
    """Relative luminance of "#rrggbb" (WCAG 2.2)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
def test_every_text_colour_is_legible_on_every_ground(theme: int) -> None:
    css = (Path(reports.__file__).parent / "page" / "style.css").read_text(encoding="utf-8")
    found = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", css)
    colours = {name: pair[theme] for name, *pair in found}
    for ink in ("ink", "muted", "accent", "good", "warn"):
        for ground in ("paper", "sheet", "faint"):
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    for series in (style.LIGHT, style.DARK)[theme].series:
        assert contrast(series, colours["sheet"]) >= 3.0  # lines and marks
