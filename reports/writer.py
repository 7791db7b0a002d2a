"""Writes reports: a folder with a page, tables and figures for each experiment, and an index over them."""

import shutil
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs

from reports import formats
from reports.analysis import Analysis, analyse
from reports.card.card import HTML, MARKDOWN, card_of
from reports.page import views
from reports.page.render import (
    Figures,
    compute_figures,
    index_page,
    study_page,
)
from reports.progress import progress
from reports.records.study import experiments_with_studies, load_study
from reports.rows import comparison_rows
from reports.tables import table_names, tables
from search.safety.paths import below, checked_name

PLOTLY, AUDIT = "plotly.min.js", "audit.html"


def build(experiments: Sequence[str], tracking_uri: str, out: Path, *, ui_url: str | None = None) -> Path:
    """Write reports of these experiments (of all that have a study, if none is named); the page to open.

    That is the experiment's own page if there is one experiment, else the index. ui_url: address of an MLflow
    UI, to which numbers then lead. Raises UserError for an experiment without a study.
    """
    wanted = list(experiments) or experiments_with_studies(tracking_uri)
    for name in wanted:
        checked_name(name, "experiment")
        below(out, name)
    out.mkdir(parents=True, exist_ok=True)
    (out / PLOTLY).write_text(get_plotlyjs(), encoding="utf-8")
    cards = []
    for name in wanted:
        analysis = analyse(load_study(name, tracking_uri))
        _write(analysis, out / name, ui_url)
        cards.append(_card(analysis))
    cards += [_written_before(name) for name in _other_pages(out, wanted)]
    cards.sort(key=lambda card: card["name"])
    (out / "index.html").write_text(index_page(cards), encoding="utf-8")
    return out / wanted[0] / "index.html" if len(wanted) == 1 else out / "index.html"


def forget(out: Path, experiment: str) -> None:
    """Remove an experiment's report, and its place in the index."""
    folder = below(out, checked_name(experiment, "experiment"))
    if not folder.exists():
        return
    shutil.rmtree(folder)
    cards = [_written_before(name) for name in _other_pages(out, [])]
    (out / "index.html").write_text(index_page(cards), encoding="utf-8")


def self_contained(experiment: str, tracking_uri: str, study: str | None = None) -> str:
    """One HTML page with everything inside it: pictures in place of interactive figures."""
    analysis = analyse(load_study(experiment, tracking_uri, study))
    rows = comparison_rows(analysis)
    return study_page(analysis, tables(analysis, rows), compute_figures(analysis), alone=True)


def _write(analysis: Analysis, folder: Path, ui_url: str | None) -> None:
    folder.mkdir(exist_ok=True)
    rows = comparison_rows(analysis)
    shown, figures = tables(analysis, rows), compute_figures(analysis)
    texts = {"comparison.csv": formats.to_csv(rows)}
    texts |= {f"{table.name}.md": formats.to_markdown(table) for _, table in shown}
    texts |= {f"{table.name}.tex": formats.to_latex(table) for _, table in shown}
    texts["index.html"] = study_page(analysis, shown, figures, ui_url=ui_url)
    if analysis.comparison:
        texts |= card_of(analysis, home="../index.html").texts
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    _write_pictures(figures, folder / "figures")
    written = set(texts)
    if analysis.study.audit:
        shutil.copyfile(analysis.study.audit, folder / AUDIT)
        written.add(AUDIT)
    _clear(folder, written)


def _clear(folder: Path, written: Set[str]) -> None:
    """Remove what an earlier report left and this one does not have; what is no report's stays."""
    ours = {f"{name}.{kind}" for name in table_names() for kind in ("md", "tex")} | {MARKDOWN, HTML, AUDIT}
    for name in ours - written:
        (folder / name).unlink(missing_ok=True)


def _write_pictures(figures: Figures, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for old in [*folder.glob("*.png"), *folder.glob("*.svg")]:  # a figure that is no longer drawn
        old.unlink()
    for each in figures.drawn:
        for kind, content in views.pictures(each.module, each.numbers, ("png", "svg")).items():
            (folder / f"{each.name}.{kind}").write_bytes(content)


def _card(analysis: Analysis) -> dict[str, Any]:
    study = analysis.study
    chosen = views.chosen(analysis)
    found = f"{chosen.what}: {chosen.label}, {chosen.score} ({chosen.interval})" if chosen else ""
    return {
        "name": study.experiment,
        "link": f"{study.experiment}/index.html",
        "status": progress(study).text,
        "question": study.about.get("question") or "",
        "synthetic": bool(study.data.get("synthetic")),
        "found": found,
    }


def _other_pages(out: Path, wanted: Sequence[str]) -> list[str]:
    """Experiments whose pages an earlier command left here."""
    found = (page.parent.name for page in out.glob("*/comparison.csv"))
    return sorted(name for name in found if name not in wanted)


def _written_before(name: str) -> dict[str, Any]:
    return {
        "name": name, "link": f"{name}/index.html", "status": "as last written", "question": "",
        "synthetic": False, "found": "",
    }  # fmt: skip
