"""Writes reports: a folder with a page, tables and figures for each experiment, and an index over them."""

import shutil
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs

from reports import formats
from reports.analysis import Analysis, analyse
from reports.card.card import HTML, MARKDOWN, card_of
from reports.figures import figure_names
from reports.page import views
from reports.page.render import (
    Figures,
    compute_figures,
    index_page,
    study_page,
)
from reports.progress import progress
from reports.records.study import StudyRecords, experiments_with_studies, load_packed, load_study
from reports.rows import comparison_rows
from reports.tables import table_names, tables
from search.archives.container import is_packed
from search.safety.output import OutputFolder
from search.safety.paths import below, checked_name
from search.safety.text import csv_file
from spaces.errors import UserError

PLOTLY, AUDIT, INDEX = "plotly.min.js", "audit.html", "index.html"


def build(
    experiments: Sequence[str],
    tracking_uri: str,
    out: Path,
    *,
    ui_url: str | None = None,
    force: bool = False,
) -> Path:
    """Write reports of these experiments (of all that have a study, if none is named); the page to open.

    Args:
        experiments: their names, and paths of packed studies; parts of one study are merged.
        tracking_uri: MLflow's address; not read if only packed studies are named.
        out: the folder to write to; each experiment gets a folder in it.
        ui_url: address of an MLflow UI, to which numbers then lead.
        force: whether to overwrite files in `out` that Candor did not write, as in a workspace of its own.

    Returns:
        The experiment's own page if there is one experiment, else the index.

    Raises:
        UserError: for an experiment without a study, a packed study that cannot be read, and a file in `out`
            that is somebody else's.
    """
    packed = [Path(name) for name in experiments if is_packed(name)]
    named = [name for name in experiments if not is_packed(name)]
    if not experiments:
        named = experiments_with_studies(tracking_uri)
    loaded = _by_folder(load_packed(packed)) if packed else {}
    wanted = [*loaded, *named]
    for name in wanted:
        checked_name(name, "experiment")
        below(out, name)
    cards = []
    with OutputFolder(out, force=force) as files:
        files.check((PLOTLY, INDEX))
        for name in wanted:
            study = loaded[name] if name in loaded else load_study(name, tracking_uri)
            analysis = analyse(_whole(study))
            _write(analysis, name, files, ui_url)
            files.remove_stale(f"{name}/", also=_possible(name) if force else ())
            cards.append(_card(analysis, name))
        cards += [_written_before(name) for name in _other_pages(out, wanted)]
        cards.sort(key=lambda card: card["name"])
        files.write(PLOTLY, get_plotlyjs())
        files.write(INDEX, index_page(cards))
    return out / wanted[0] / INDEX if len(wanted) == 1 else out / INDEX


def _whole(study: StudyRecords) -> StudyRecords:
    """Refuse to replace a finished report by one of less. Raises UserError."""
    if study.missing:
        raise UserError(
            f"MLflow no longer holds {study.missing} of the confirmed evaluations that the verdict of study "
            f"{study.study_id} rests on: the report stays as it was. `candor search {study.experiment}` "
            "restores what was deleted, or trains it again"
        )
    return study


def forget(out: Path, experiment: str) -> None:
    """Remove an experiment's report, and its place in the index."""
    folder = below(out, checked_name(experiment, "experiment"))
    if not folder.exists():
        return
    shutil.rmtree(folder)
    cards = [_written_before(name) for name in _other_pages(out, [])]
    (out / INDEX).write_text(index_page(cards), encoding="utf-8")


def self_contained(experiment: str, tracking_uri: str, study: str | None = None) -> str:
    """One HTML page with everything inside it: pictures in place of interactive figures."""
    analysis = analyse(load_study(experiment, tracking_uri, study))
    rows = comparison_rows(analysis)
    return study_page(analysis, tables(analysis, rows), compute_figures(analysis), alone=True)


def _write(analysis: Analysis, name: str, files: OutputFolder, ui_url: str | None) -> None:
    rows = comparison_rows(analysis)
    shown, figures = tables(analysis, rows), compute_figures(analysis)
    contents: dict[str, str | bytes] = {"comparison.csv": csv_file(formats.to_csv(rows))}
    contents |= {f"{table.name}.md": formats.to_markdown(table) for _, table in shown}
    contents |= {f"{table.name}.tex": formats.to_latex(table) for _, table in shown}
    contents[INDEX] = study_page(analysis, shown, figures, ui_url=ui_url)
    if analysis.comparison:
        contents |= card_of(analysis, home="../index.html").texts
    contents |= _pictures(figures)
    if analysis.study.audit:
        contents[AUDIT] = analysis.study.audit.read_bytes()
    files.check(f"{name}/{file}" for file in contents)
    for file, content in contents.items():
        files.write(f"{name}/{file}", content)


def _possible(name: str) -> Set[str]:
    """What reports of other studies of an experiment may have left, before there was a list of files."""
    files = {f"{table}.{kind}" for table in table_names() for kind in ("md", "tex")} | {MARKDOWN, HTML, AUDIT}
    files |= {f"figures/{figure}.{kind}" for figure in figure_names() for kind in ("png", "svg")}
    return {f"{name}/{file}" for file in files}


def _pictures(figures: Figures) -> dict[str, bytes]:
    """Each figure as files for papers, by name below the report's folder."""
    return {
        f"figures/{each.name}.{kind}": content
        for each in figures.drawn
        for kind, content in views.pictures(each.module, each.numbers, ("png", "svg")).items()
    }


def _by_folder(studies: Sequence[StudyRecords]) -> dict[str, StudyRecords]:
    """Studies by what their folders are called: two of one experiment by their ids, too."""
    found: dict[str, StudyRecords] = {}
    for study in studies:
        alone = sum(each.experiment == study.experiment for each in studies) == 1
        found[study.experiment if alone else f"{study.experiment}-{study.study_id}"] = study
    return found


def _card(analysis: Analysis, name: str) -> dict[str, Any]:
    study = analysis.study
    chosen = views.chosen(analysis)
    found = f"{chosen.what}: {chosen.label}, {chosen.score} ({chosen.interval})" if chosen else ""
    return {
        "name": name,
        "link": f"{name}/index.html",
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
