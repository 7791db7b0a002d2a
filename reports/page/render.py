"""Pages from an analysis: one with plotly beside it, one that has nothing but itself, and the index."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from reports import columns, facts, style
from reports.analysis import Analysis
from reports.figures import (
    SECTIONS,
    FigureModule,
    NothingToDraw,
    figure_names,
    load_figure,
)
from reports.page import views
from reports.page.links import Links
from reports.progress import progress
from reports.tables import ReportTable
from search.safety.text import html
from search.tracking import names

HERE = Path(__file__).parent
TEMPLATES = (HERE, HERE.parent / "card")


class Computed(NamedTuple):
    """A figure that has something to draw."""

    name: str
    module: FigureModule
    numbers: Any


class Figures(NamedTuple):
    """Figures in the order of the page, and (title, reason) of those that cannot be drawn."""

    drawn: list[Computed]
    undrawn: list[tuple[str, str]]


@dataclass(frozen=True)
class PageSection:
    """A heading with its figures and tables."""

    name: str
    title: str
    figures: list[views.FigureView]
    tables: list[views.TableView]


def compute_figures(analysis: Analysis) -> Figures:
    """The numbers of every figure."""
    found = Figures([], [])
    for name in figure_names():
        module = load_figure(name)
        try:
            found.drawn.append(Computed(name, module, module.compute(analysis)))
        except NothingToDraw as reason:
            found.undrawn.append((module.TITLE, str(reason)))
    return found


def study_page(
    analysis: Analysis,
    tables: Sequence[tuple[str, ReportTable]],
    figures: Figures,
    *,
    ui_url: str | None = None,
    alone: bool = False,
) -> str:
    """The page of one study.

    Args:
        analysis: The study and what follows from it.
        tables: Section and table, in the order of the page.
        figures: The figures, computed.
        ui_url: The address of an MLflow UI that numbers link to; None for no links.
        alone: Whether pictures lie inside the page, with no file beside it.

    Returns:
        HTML.
    """
    study, links = analysis.study, Links(ui_url, analysis.study.experiment_id)
    show = views.still if alone else views.interactive
    drawn = [(each.module.SECTION, show(each.name, each.module, each.numbers)) for each in figures.drawn]
    shown = [
        (section, views.table_view(analysis, table, links, files=not alone and table.name == "comparison"))
        for section, table in tables
    ]
    compared = next((table.rows for _, table in tables if table.name == "comparison"), None)
    return render(
        "study.html",
        title=f"{study.experiment}: {study.about.get('question') or 'a study'}",
        home="#" if alone else "../index.html",
        plotly="" if alone else "../plotly.min.js",
        palette="" if alone else _json(style.partners()),
        analysis=analysis,
        study=study,
        study_link=links.run(study.run.run_id),
        question=study.about.get("question") or f"The experiment {study.experiment}",
        progress=progress(study),
        glance=facts.at_a_glance(analysis),
        full=facts.in_full(analysis),
        command=study.about.get("command") or "",
        sentences=_told(analysis, links),
        chosen=views.chosen(analysis, links),
        audit="" if alone or study.audit is None else "audit.html",
        card="" if alone or analysis.comparison is None else "model_card.html",
        words=dict(views.words(compared)) if isinstance(compared, pd.DataFrame) else {},
        tables={"answer": [view for section, view in shown if section == "answer"]},
        sections=_sections(drawn, shown),
        undrawn=figures.undrawn if analysis.scores is None else [],  # what scores allow, a table shows
        others=[_other(links, run) for run in study.others],
    )


def index_page(cards: Sequence[dict[str, Any]]) -> str:
    """The page over all experiments."""
    return render("index.html", title="Candor: experiments", home="#", plotly="", cards=cards)


class Told(NamedTuple):
    """Sentences about this study, and about what was published."""

    ours: list[Markup]
    published: list[Markup]


def _told(analysis: Analysis, links: Links) -> Told:
    """The sentences, names leading to runs; the question is the page's heading and need not be said twice."""
    names_first = sorted({*analysis.labels.values(), *_published(analysis)}, key=len, reverse=True)
    known = "|".join(re.escape(str(escape(name))) for name in names_first if name)
    pattern = re.compile(rf"(?<!\w)(?:{known})(?!\w)" if known else r"(?!)")
    runs = {str(escape(label)): links.candidate(candidate) for candidate, label in analysis.labels.items()}
    told = Told([], [])
    for sentence in analysis.sentences:
        marked = pattern.sub(lambda name: _marked(name[0], runs.get(name[0], "")), str(escape(sentence)))
        about_others = sentence.startswith("Published")
        if not sentence.startswith("Asked: "):
            (told.published if about_others else told.ours).append(Markup(marked))  # noqa: S704 (escaped)
    return told


def _marked(name: str, link: str) -> str:
    """A name, escaped already, that a reader finds at a glance."""
    long = " long" if len(name) > 40 else ""
    kind, where = ("a", f' href="{escape(link)}"') if link else ("span", "")
    return f'<{kind} class="arch{long}"{where}>{name}</{kind}>'


def _published(analysis: Analysis) -> list[str]:
    return [one.get("architecture") or "" for one in analysis.study.about.get("published") or []]


def _sections(
    drawn: Sequence[tuple[str, views.FigureView]], shown: Sequence[tuple[str, views.TableView]]
) -> list[PageSection]:
    found = [
        PageSection(
            name,
            title,
            [view for section, view in drawn if section == name],
            [view for section, view in shown if section == name],
        )
        for name, title in SECTIONS.items()
    ]
    return [section for section in found if section.figures or section.tables]


def _other(links: Links, run: Any) -> dict[str, str]:
    return {
        "date": facts.date(run.started),
        "study": run.tags.get(names.STUDY, run.run_id),
        "status": run.status.lower(),
        "link": links.run(run.run_id),
    }


def _json(value: Any) -> Markup:
    return Markup(json.dumps(value, sort_keys=True).replace("<", "\\u003c"))  # noqa: S704 (escaped)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True, finalize=html,
    )  # fmt: skip
    environment.globals["missing"] = columns.MISSING
    return environment


def render(template: str, **content: Any) -> str:
    """A template with style and script inside it."""
    css, js = ((HERE / name).read_text(encoding="utf-8") for name in ("style.css", "page.js"))
    return _environment().get_template(template).render(css=Markup(css), js=Markup(js), **content)  # noqa: S704
