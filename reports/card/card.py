"""A card as Markdown and as a page of its own."""

from dataclasses import dataclass

from reports.analysis import Analysis, analyse
from reports.card.content import content
from reports.card.parts import (
    CardSection,
    Content,
    Grid,
    ModelFile,
)
from reports.formats import in_cell, plain
from reports.page.render import render
from reports.records.study import load_study
from search.safety.text import MESSAGE, line

MARKDOWN, HTML = "model_card.md", "model_card.html"


@dataclass(frozen=True)
class Card:
    """One card twice; neither needs a file beside it."""

    markdown: str
    html: str

    @property
    def texts(self) -> dict[str, str]:
        """By file name, as they are logged with a model."""
        return {MARKDOWN: self.markdown, HTML: self.html}


def model_card(
    experiment: str,
    tracking_uri: str,
    study: str | None = None,
    *,
    candidate: str | None = None,
    file: ModelFile | None = None,
) -> Card:
    """The model card of what a study selected, or of another confirmed candidate.

    Args:
        experiment: The experiment's name.
        tracking_uri: MLflow's address.
        study: The study's id; None for the newest.
        candidate: The candidate's fingerprint; None for the selected one.
        file: Which model file the card goes with; one that was refitted is labelled.

    Returns:
        The card as Markdown and HTML.

    Raises:
        UserError: If nothing is confirmed.
    """
    return card_of(analyse(load_study(experiment, tracking_uri, study)), candidate, file)


def card_of(
    analysis: Analysis, candidate: str | None = None, file: ModelFile | None = None, *, home: str = "#"
) -> Card:
    """The same, of a study that is analysed already. home: where the page's name leads."""
    found = content(analysis, candidate, file)
    html = render("card.html", title=found.title, home=home, plotly="", card=found)
    return Card(_markdown(found), html)


def _markdown(card: Content) -> str:
    lines = [f"# {plain(card.title)}", "", f"{plain(card.subtitle)}.", ""]
    for warning in card.warnings:
        head, stop, rest = plain(warning).partition(". ")
        lines += [f"> **{head}{stop.strip()}** {rest}", ""]
    for section in card.sections:
        lines += _section(section)
    return "\n".join(lines).rstrip() + "\n"


def _section(section: CardSection) -> list[str]:
    lines = [f"## {section.title}", ""]
    for paragraph in section.paragraphs:
        lines += [plain(paragraph), ""]
    if section.grid:
        lines += [*_pipes(section.grid), ""]
    for items in (
        [f"**{plain(name)}:** {plain(value)}" for name, value in section.facts],
        [plain(point) for point in section.points],
    ):
        lines += [*(f"- {item}" for item in items), *([""] if items else [])]
    if section.commands:
        lines += [
            "```sh",
            *(line(command, MESSAGE).replace("```", "") for command in section.commands),
            "```",
            "",
        ]
    return lines


def _pipes(grid: Grid) -> list[str]:
    rule = ["---:" if index in grid.numeric else ":---" for index in range(len(grid.headings))]
    rows = [grid.headings, rule, *grid.rows]
    return [f"| {' | '.join(in_cell(cell).strip() for cell in row)} |" for row in rows]
