"""What the card of a study's model says, section by section."""

import re
from collections.abc import Iterator

import numpy as np

from reports import columns, facts
from reports.analysis import Analysis
from reports.card.parts import (
    CardSection,
    Content,
    Grid,
    ModelFile,
)
from reports.card.use import intended_use
from reports.card.weaknesses import by_class, weaknesses
from reports.inference.comparison import Row
from reports.inference.wording import many
from reports.rows import comparison_rows
from search.tracking import names
from spaces.errors import UserError

_FRACTION = re.compile(r"\d+\.\d+(e-?\d+)?|\d+e-?\d+")
#: What of a recipe is said first; the rest follows by name.
_RECIPE = ("optimizer", "learning_rate", "batch_size", "augmentation", "schedule")


def content(analysis: Analysis, candidate: str | None = None, file: ModelFile | None = None) -> Content:
    """The card of one confirmed candidate: the selected one, or else the best, if none is named.

    Raises UserError where nothing is confirmed, or the candidate is not.
    """
    row = _row(analysis, candidate)
    label = analysis.labels[row.candidate]
    study = analysis.study
    return Content(
        title=f"Model card: {label}",
        subtitle=f"What the study {study.study_id} of the experiment {study.experiment} found on "
        f"{study.data.get('name') or 'its data'}",
        warnings=tuple(_warnings(analysis, row, file)),
        sections=(
            _model(analysis, row, file),
            _numbers(analysis, row),
            _concluded(analysis),
            _classes(analysis, row),
            CardSection("Known weaknesses", points=weaknesses(analysis, row)),
            intended_use(
                analysis.classes,
                tuple(study.data.get("image_shape") or ()),
                bool(study.data.get("synthetic")),
            ),
            *_told(analysis),
            _again(analysis, row, file),
        ),
    )


def _row(analysis: Analysis, candidate: str | None) -> Row:
    if analysis.comparison is None or analysis.verdict is None:
        raise UserError(
            f"{analysis.study.experiment} has no confirmed candidate yet, so there is no model to "
            f"describe: let "
            "the search go on"
        )
    wanted = candidate or analysis.verdict.selected or analysis.comparison.best.candidate
    found = [row for row in analysis.rows if row.candidate == wanted]
    if not found:
        raise UserError(f"{analysis.study.experiment} has not confirmed a candidate {wanted}")
    return found[0]


def _warnings(analysis: Analysis, row: Row, file: ModelFile | None) -> Iterator[str]:
    if analysis.study.data.get("synthetic"):
        yield (
            "Synthetic data. The pictures were drawn by a program: no number here says anything about real "
            "pictures."
        )
    if file and file.retrained:
        yield (
            f"Retrained. This file was trained again on {file.images:,} images, monitor included, for "
            f"{many(file.epochs, 'epoch', 'epochs')}. No number below was measured on it: they are those of "
            f"the procedure, from {row.n_seeds} networks trained the same way on fewer images."
        )
    selected = analysis.verdict.selected if analysis.verdict else None
    if selected is None:
        yield "Not selected. The rule of the study found nothing to select; this has the highest score."
    elif selected != row.candidate:
        yield f"Not selected. The rule of the study selected {analysis.labels[selected]}."
    if analysis.disagreements:
        yield "What was logged disagrees with the stored predictions: do not trust the numbers yet."


def _model(analysis: Analysis, row: Row, file: ModelFile | None) -> CardSection:
    study = analysis.study
    run = analysis.runs_of(row.candidate).iloc[0]
    shape = study.data.get("image_shape") or ()
    params = study.runs[run.run_id].params
    recipe = {key.removeprefix(names.RECIPE): v for key, v in params.items() if key.startswith(names.RECIPE)}
    ordered = sorted(recipe, key=lambda name: (_place(name), name))
    told = [
        ("Architecture", row.label),
        ("Family", f"{row.family} ({row.variant})" if row.variant else row.family),
        ("Parameters", f"{row.parameters:,}"),
        ("Multiply-adds for one image", columns.size(run.macs) if run.macs == run.macs else ""),
        ("Input", f"{' × '.join(map(str, shape))}, whole numbers from 0 to 255" if shape else ""),
        ("Output", f"probabilities of {', '.join(analysis.classes)}, in this order"),
        ("This file", _file(row, file, study.folds)),
        (
            "Recipe",
            "; ".join(f"{name.replace('_', ' ')} {_short(recipe[name])}" for name in ordered if recipe[name]),
        ),
    ]
    return CardSection("The model", facts=tuple((name, value) for name, value in told if value))


def _short(value: str) -> str:
    """A drawn rate has sixteen digits; MLflow keeps them."""
    return f"{float(value):.4g}" if _FRACTION.fullmatch(value) else value


def _place(name: str) -> int:
    return _RECIPE.index(name) if name in _RECIPE else len(_RECIPE)


def _file(row: Row, file: ModelFile | None, folds: int) -> str:
    if file is None:
        networks = many(row.n_seeds * max(folds, 1), "network", "networks")
        return f"none in particular: numbers are means over {networks}; a registered model has its own card"
    if file.retrained:
        return "trained again on more images than the networks that were measured"
    if folds:
        return (
            f"the network that run {file.run_id} trained without the first of its {folds} folds, and saw the "
            "others: no number below is its own"
        )
    return (
        f"the network of run {file.run_id}, one of the {row.n_seeds} that the numbers below are the mean of"
    )


def _numbers(analysis: Analysis, row: Row) -> CardSection:
    assert analysis.comparison is not None  # noqa: S101  there is a row
    level = f"{100 * analysis.comparison.confidence:g}% interval"
    return CardSection(
        "How good it is",
        paragraphs=(
            f"Means over {_seeds(row)}, measured on {analysis.comparison.images:,} different "
            f"{_images(analysis)} The interval holds for new seeds and new images of the same kind.",
        ),
        grid=Grid(("Measure", "Value", level), tuple(_measures(analysis, row)), numeric=frozenset({1, 2})),
    )


def _seeds(row: Row) -> str:
    """Which seeds the numbers are means over."""
    if row.seeds_counted < row.n_seeds:
        return f"the {row.seeds_counted} of {row.n_seeds} seeds that learned"
    return many(row.n_seeds, "seed", "seeds")


def _images(analysis: Analysis) -> str:
    """Of which kind the images are that judged."""
    if not analysis.study.folds:
        return "validation images that decided nothing in training."
    return (
        "images of train and validation. Each was judged by a network that has not seen it, and trained "
        "those of the other folds; what is called validation here is all of them."
    )


def _concluded(analysis: Analysis) -> CardSection:
    told = [sentence for sentence in analysis.sentences if not sentence.startswith(("Asked: ", "Published"))]
    return CardSection("What the study concluded", points=tuple(told))


def _measures(analysis: Analysis, row: Row) -> Iterator[tuple[str, str, str]]:
    runs = analysis.runs_of(row.candidate)
    yield (
        "Validation accuracy",
        _percent(row.val_accuracy),
        _between(row.val_accuracy_ci_low, row.val_accuracy_ci_high),
    )
    if row.seeds_failed:
        failed = f"{row.seeds_failed} of {row.n_seeds} failed to learn"
        yield f"  over all seeds, of which {failed}", _percent(row.val_accuracy_all), ""
    lowest, highest = runs.val_accuracy.min(), runs.val_accuracy.max()
    yield "  of its worst and best seed", f"{_percent(lowest)}, {_percent(highest)}", ""
    kept = ~analysis.evaluations_of(row.candidate)[0].has_twin
    if row.leak_delta == row.leak_delta and not kept.all() and not analysis.study.folds:
        yield "  without images that have a twin in training", _percent(row.val_accuracy - row.leak_delta), ""
    for name, value in (("Macro F1", runs.val_macro_f1.mean()), ("Cross-entropy", runs.val_loss.mean())):
        if value == value:
            yield name, f"{value:.3f}", ""
    if runs.train_clean_accuracy.notna().any():
        yield "Training accuracy", _percent(runs.train_clean_accuracy.mean()), ""
    if row.relative_overfit == row.relative_overfit:
        between = f"{row.relative_overfit_low:.2f} to {row.relative_overfit_high:.2f}"
        yield "Relative overfit", f"{row.relative_overfit:.2f}", between
    yield from _tested(analysis, row)


def _tested(analysis: Analysis, row: Row) -> Iterator[tuple[str, str, str]]:
    rows = comparison_rows(analysis)
    own = rows[(rows.candidate == row.candidate) & (rows.stage == names.CONFIRM)].iloc[0]
    if own.test_accuracy == own.test_accuracy:
        between = _between(own.test_ci_low, own.test_ci_high) if own.test_ci_low == own.test_ci_low else ""
        yield (
            f"Test accuracy (test set {facts.test_set(analysis.study)})",
            _percent(own.test_accuracy),
            between,
        )
    else:
        yield f"Test accuracy (test set {facts.test_set(analysis.study) or 'unknown'})", columns.MISSING, ""


def _classes(analysis: Analysis, row: Row) -> CardSection:
    assert analysis.comparison is not None  # noqa: S101  there is a row
    alpha = 1.0 - analysis.comparison.confidence
    found = by_class(analysis.evaluations_of(row.candidate), analysis.classes, alpha)
    rows = tuple(
        (
            one.name,
            f"{one.images:,}",
            _percent(one.recall),
            _between(one.low, one.high) if np.isfinite(one.low) else columns.MISSING,
            f"{one.taken_for} ({one.share:.0%})" if one.taken_for else columns.MISSING,
        )
        for one in found
    )
    level = f"{100 * analysis.comparison.confidence:g}% interval"
    headings = ("Class", "Validation images", "Recall", level, "Most often taken for")
    text = (
        "Recall: the share of a class's validation images that is recognised. Mean over seeds; worst first."
    )
    return CardSection("Class by class", (text,), Grid(headings, rows, numeric=frozenset({1, 2, 3})))


def _told(analysis: Analysis) -> Iterator[CardSection]:
    """What the report says of the study, under the headings of a card."""
    titles = {
        "Data": "Data, splits and leaks",
        "Protocol": "Protocol",
        "Effort": "Time spent",
        "Software": "Software and machines",
    }
    for title, found in facts.in_full(analysis):
        yield CardSection(titles[title], facts=tuple(found))


def _again(analysis: Analysis, row: Row, file: ModelFile | None) -> CardSection:
    study = analysis.study
    runs = [file.run_id] if file and file.run_id else list(analysis.runs_of(row.candidate).run_id)
    commands = [f"candor reproduce {run}" for run in runs]
    commit = study.run.tags.get(names.GIT_COMMIT, "")
    at = f" at commit {commit[:12]}" if commit else ""
    each = "the networks of one seed" if study.folds else "one of the measured networks"
    return CardSection(
        "How to reproduce it",
        paragraphs=(
            f"With the same images (digests above), the same versions and this program{at}, the first "
            f"command makes the whole study again; each of the others trains {each} again from its record "
            "and says how alike the two are.",
        ),
        commands=(*((study.about["command"],) if study.about.get("command") else ()), *commands),
    )


def _percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def _between(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {100 * high:.1f}%"
