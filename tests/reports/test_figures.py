"""Every figure computes from an analysis, draws the same numbers twice, and says how it is read."""

import itertools
import json
import re
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest

from reports import style
from reports.analysis import Analysis, analyse
from reports.figures import (
    SECTIONS,
    NothingToDraw,
    figure_names,
    load_figure,
)
from reports.figures.errors.confusion import count
from reports.figures.exploration.tuning import random_order
from reports.inference.comparison import compare
from reports.page import views
from reports.records.study import load_study

NAMES = figure_names()


@pytest.fixture(scope="module")
def subject(joint: Analysis, grid: Analysis, wide: Analysis) -> dict[str, Analysis]:
    """A study for each figure: effects are claimed from grids alone, importance from many candidates."""
    return {name: {"effects": grid, "importance": wide}.get(name, joint) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_says_how_it_is_read(name: str) -> None:
    figure = load_figure(name)
    assert figure.SECTION in SECTIONS
    assert figure.TITLE
    assert figure.READING.endswith(".")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_a_figure_computes_a_named_tuple_and_draws_it_for_page_and_paper(
    name: str, subject: dict[str, Analysis]
) -> None:
    figure = load_figure(name)
    numbers = figure.compute(subject[name])
    assert hasattr(numbers, "_fields")
    first, second = (figure.draw(numbers).to_json() for _ in range(2))
    assert first == second
    assert json.loads(first)["data"]
    with mpl.rc_context(style.RC):
        assert figure.picture(numbers).axes


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_every_colour_has_a_partner_in_the_dark(name: str, subject: dict[str, Analysis]) -> None:
    figure = load_figure(name)
    text = figure.draw(figure.compute(subject[name])).to_json().lower()
    used = {colour[:7] for colour in re.findall(r'"(#[0-9a-f]{6}(?:[0-9a-f]{2})?)"', text)}
    assert used <= set(style.partners())


@pytest.mark.parametrize("name", NAMES)
def test_an_axis_of_names_is_no_scale(name: str, subject: dict[str, Analysis]) -> None:
    """Of classes called 0, 1 and 10 plotly would make one."""
    figure = load_figure(name)
    drawn = figure.draw(figure.compute(subject[name]))
    for trace, side in itertools.product(drawn.data, "xy"):
        shown = getattr(trace, side, None)
        if shown is not None and any(isinstance(value, str) for value in shown):
            axis = (getattr(trace, f"{side}axis") or side).replace(side, f"{side}axis")
            assert drawn.layout[axis].type == "category"


@pytest.mark.parametrize("name", NAMES)
def test_a_young_study_has_a_reason_instead_of_a_figure(name: str, empty: Analysis) -> None:
    if name == "twins":  # the audit is there before the first evaluation
        assert load_figure(name).compute(empty).bars
        return
    with pytest.raises(NothingToDraw, match=r"\w"):
        load_figure(name).compute(empty)


def test_the_forest_shows_the_numbers_of_the_comparison(joint: Analysis) -> None:
    lines = load_figure("forest").compute(joint).lines
    rows = joint.rows
    assert [line.mean for line in lines] == [row.val_accuracy for row in rows]
    assert [line.delta for line in lines] == [row.delta_to_best for row in rows]
    assert len(lines[0].seeds) == 4


def test_the_forest_tells_differences_of_a_loss_in_nats(tracking_uri: str) -> None:
    study = load_study("joint", tracking_uri)
    about = {**study.about, "protocol": {**study.protocol, "objective": "loss"}}
    analysis = analyse(replace(study, about=about))
    forest = load_figure("forest")
    numbers = forest.compute(analysis)
    text = forest.draw(numbers).to_json()
    assert "difference from the best, nats" in text
    assert " points" not in text
    marks = [trace.x[0] for trace in forest.draw(numbers).data if trace.xaxis == "x2" and len(trace.x) == 1]
    assert marks[1:] == pytest.approx([line.delta for line in numbers.lines[1:]], rel=1e-4)
    with mpl.rc_context(style.RC):
        assert forest.picture(numbers).axes[1].get_xlabel() == "difference from the best,\nnats"


def test_the_forest_calls_one_the_best_and_a_tie_equal(joint: Analysis) -> None:
    forest = load_figure("forest")
    numbers = forest.compute(joint)
    equal = {"delta": 0.0, "delta_se": 0.0, "delta_low": 0.0, "delta_high": 0.0}
    alike = numbers._replace(lines=(numbers.lines[0], numbers.lines[1]._replace(**equal)))
    text = [trace.text[0] for trace in forest.draw(alike).data if trace.mode == "text"]
    assert text == ["best", "equal"]


def test_the_forest_says_how_many_candidates_it_has_no_room_for(joint: Analysis) -> None:
    forest = load_figure("forest")
    numbers = forest.compute(joint)
    assert "in the table" not in forest.draw(numbers).to_json()
    crowded = numbers._replace(left_out=3)
    assert "3 more in the table" in forest.draw(crowded).to_json()
    assert b"3 more in the table" in views.pictures(forest, crowded, ("svg",))["svg"]


def test_a_seed_that_failed_to_learn_has_a_ring(joint: Analysis) -> None:
    """And no other has."""
    figure = load_figure("seeds")
    assert figure.compute(joint).failed == ()
    shaky = replace(joint.rows[1], failed_seeds=(joint.confirmed[0].seed,), seeds_failed=1)
    assert joint.comparison is not None
    rows = (joint.rows[0], shaky, *joint.rows[2:])
    numbers = figure.compute(replace(joint, comparison=replace(joint.comparison, rows=rows)))
    ((seed, place),) = numbers.failed
    assert (numbers.seeds[seed], place) == (joint.confirmed[0].seed, 1)
    (ring,) = [trace for trace in figure.draw(numbers).data if trace.name == "failed to learn"]
    assert (list(ring.x), list(ring.y)) == ([1], [numbers.accuracies[seed][1]])
    assert b"failed to learn" in views.pictures(figure, numbers, ("svg",))["svg"]


def test_two_seeds_draw_no_probabilities(joint: Analysis) -> None:
    few = tuple(one for one in joint.confirmed if one.seed <= 2)
    analysis = replace(joint, confirmed=few, comparison=compare(few, joint.rule))
    with pytest.raises(NothingToDraw, match="three seeds that count"):
        load_figure("rope").compute(analysis)


def test_the_front_is_that_of_what_is_drawn(joint: Analysis) -> None:
    assert joint.comparison is not None
    by_another = tuple(replace(row, pareto=not row.pareto) for row in joint.rows)
    analysis = replace(joint, comparison=replace(joint.comparison, rows=by_another))
    points = load_figure("overfit").compute(analysis).points
    for point in points:
        others = [other for other in points if other is not point]
        beaten = [o for o in others if o.accuracy >= point.accuracy and o.overfit <= point.overfit]
        assert point.pareto == (not beaten)


def test_a_name_is_no_formula_and_neither_is_a_size(joint: Analysis) -> None:
    recall, tradeoff = load_figure("recall"), load_figure("tradeoff")
    numbers = recall.compute(joint)
    priced = numbers._replace(classes=("$5_$10", *numbers.classes[1:]))
    assert b"$5_$10" in views.pictures(recall, priced, ("svg",))["svg"]
    assert b"mathdefault" not in views.pictures(tradeoff, tradeoff.compute(joint), ("svg",))["svg"]


def test_confusion_counts_are_recomputed_from_predictions(joint: Analysis) -> None:
    numbers = load_figure("confusion").compute(joint)
    best = numbers.matrices[0]
    assert np.sum(best.counts) == 400 * 4
    selected = joint.verdict.selected if joint.verdict else None
    row = next(row for row in joint.rows if row.candidate == selected)
    assert best.accuracy == pytest.approx(row.val_accuracy)


def test_confusion_puts_the_truth_into_rows() -> None:
    expected = [[1, 1, 0], [0, 0, 0], [1, 0, 0]]
    assert count(np.array([0, 0, 2]), np.array([0, 1, 0]), 3).tolist() == expected


def test_the_band_of_random_orders_is_that_of_all_permutations() -> None:
    values = np.array([0.3, 0.1, 0.9, 0.5, 0.7])
    orders = np.array(list(itertools.permutations(values)))
    best = np.maximum.accumulate(orders, axis=1)
    for quantile in (0.1, 0.5, 0.9):
        expected = np.quantile(best, quantile, axis=0, method="inverted_cdf")
        assert random_order(values, range(1, 6), (quantile,))[0] == pytest.approx(expected)
        assert random_order(values, (2, 5), (quantile,))[0] == pytest.approx(expected[[1, 4]])


def test_factor_effects_come_from_matched_cells(grid: Analysis) -> None:
    lines = load_figure("effects").compute(grid).lines
    assert [line.label for line in lines] == [
        "conv stages: 3 against 2",
        "conv stages: 4 against 2",
        "dense layers: 2 against 1",
    ]
    assert [line.settings for line in lines] == [2, 2, 3]
    assert 0 < lines[0].points < lines[1].points  # each stage adds skill in the simulation


def test_what_a_search_explored_is_no_effect(joint: Analysis) -> None:
    with pytest.raises(NothingToDraw, match="grids alone"):
        load_figure("effects").compute(joint)


def test_the_gallery_shows_stored_images_the_worst_first(joint: Analysis) -> None:
    numbers = load_figure("gallery").compute(joint)
    sure = [tile.confidence for tile in numbers.wrong]
    assert sure == sorted(sure, reverse=True)
    assert all(tile.said != tile.label for tile in numbers.wrong)
    assert {tile.pixels.shape for tile in (*numbers.wrong, *numbers.confused)} == {(48, 48)}
    assert not {tile.name for tile in numbers.wrong} & {tile.name for tile in numbers.confused}
    assert all(tile.name.startswith("validation/") for tile in (*numbers.wrong, *numbers.confused))


def test_the_network_adds_up_to_its_parameters(joint: Analysis) -> None:
    numbers = load_figure("network").compute(joint)
    assert numbers.label == joint.labels[joint.leader]
    assert numbers.parameters == sum(row.parameters for row in numbers.rows) > 0
    assert [row.branches for row in numbers.rows][:1] == [(("image",),)]
    assert numbers.rows[-1].shape == (7,)


def test_nobody_on_the_stairs_is_beaten_by_a_smaller_one(joint: Analysis) -> None:
    points = load_figure("tradeoff").compute(joint).points
    for point in points:
        smaller = [other.score for other in points if other.size <= point.size and other is not point]
        assert point.front == (point.score > max(smaller, default=0.0))


def test_a_calibration_error_lies_in_its_interval(joint: Analysis) -> None:
    for curve in load_figure("calibration").compute(joint).curves:
        runs = joint.runs_of(next(name for name, label in joint.labels.items() if label == curve.label))
        assert curve.error == pytest.approx(runs.ece.mean(), abs=1e-4)
        assert curve.error_low < curve.error < curve.error_high


def test_letters_of_every_script_are_drawn_or_said_once_and_warn_nobody(
    joint: Analysis, recwarn: pytest.WarningsRecorder, capsys: pytest.CaptureFixture[str]
) -> None:
    """No font has a letter of a private plane: one sentence, whatever the number of figures."""
    recall = load_figure("recall")
    numbers = recall.compute(joint)
    foreign = numbers._replace(classes=("\U0010fe01", *numbers.classes[1:]))
    for _ in range(2):
        assert views.pictures(recall, foreign, ("png", "svg")).keys() == {"png", "svg"}
    assert capsys.readouterr().err.count("no installed font has the letters \U0010fe01") == 1
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]


def test_a_letter_that_another_installed_font_has_is_drawn_with_that(
    joint: Analysis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the name of the font changes: what is asked for is asked of it."""
    asked: list[frozenset[str]] = []

    def families(letters: frozenset[str]) -> list[str]:
        asked.append(letters)
        return ["DejaVu Sans", "DejaVu Serif"]

    monkeypatch.setattr(views, "families_for", families)
    recall = load_figure("recall")
    numbers = recall.compute(joint)
    foreign = numbers._replace(classes=("猫 cat", *numbers.classes[1:]))
    usual, with_another = (views.pictures(recall, one, ("png",))["png"] for one in (numbers, foreign))
    assert asked == [frozenset("猫")]
    assert usual != with_another
