"""Two networks are compared on the same images; one made elsewhere joins a table and decides nothing."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from trained_study import Trained

import reports
from experiments.workflows.models.compare import compare, write
from experiments.workflows.models.score import score
from experiments.workflows.study.lookup import images_of, newest_study
from reports.analysis import analyse
from reports.rows import comparison_rows
from reports.statistics import paired_difference
from search.models.classifier import Labels
from search.tracking import names
from search.workspace import Workspace
from spaces.errors import UserError

pytestmark = pytest.mark.trains


def quiet(text: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the user's own: other size, colour, and pixels from 0 to 1."""
    return network(tmp_path_factory.mktemp("foreign") / "mine.keras", classes=7)


@pytest.fixture
def own(trained: Trained, tmp_path: Path) -> Trained:
    """A copy of the trained study to write to: other tests count what the original holds."""
    shutil.copytree(trained.workspace.folder, tmp_path / "runs")
    return replace(trained, workspace=Workspace.at(tmp_path / "runs"))


def network(path: Path, classes: int) -> Path:
    import keras

    keras.utils.set_random_seed(4)
    keras.Sequential(
        [
            keras.Input((20, 24, 3)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    ).save(path)
    return path


def test_two_runs_are_compared_by_their_stored_answers(trained: Trained) -> None:
    runs = (trained.run_of(names.CONFIRM, 0), trained.run_of(names.CONFIRM, 1))
    pair, _ = compare(runs, trained.workspace, trained.tracking, None, None, quiet)
    a, b = (trained.study().predictions(run) for run in runs)
    expected = paired_difference(
        a.correct[None].astype(float), b.correct[None].astype(float), groups=a.groups
    )
    assert repr(pair.difference) == repr(expected)  # one seed: some of its numbers are NaN
    assert (pair.images, pair.a_accuracy, pair.b_accuracy) == (90, a.accuracy, b.accuracy)
    assert len(pair.disagreements) == (a.guesses != b.guesses).sum()


def test_a_file_of_another_size_is_resized_which_is_said(
    trained: Trained, foreign: Path, tmp_path: Path
) -> None:
    run = trained.run_of(names.CONFIRM)
    pair, pictures = compare((str(foreign), run), trained.workspace, trained.tracking, None, None, quiet)
    assert any("takes images of 20 x 24 x 3" in note for note in pair.notes)
    assert any("trained on some of these images is not known" in note for note in pair.notes)
    validation = images_of(newest_study("recorded", trained.tracking), trained.workspace, None, quiet)
    named = {one.image for one in pair.disagreements}
    assert named <= set(validation.validation().ids)
    assert set(pictures) == named
    page = write(pair, pictures, tmp_path / "pair")
    assert "data:image/png;base64," in page.read_text()
    listed = (tmp_path / "pair" / "differences.csv").read_text().splitlines()
    assert len(listed) == 1 + len(pair.disagreements)


def test_explored_runs_without_models_are_compared_where_they_were_ranked(trained: Trained) -> None:
    runs = (trained.run_of(names.EXPLORE, 0), trained.run_of(names.EXPLORE, 1))
    pair, _ = compare(runs, trained.workspace, trained.tracking, None, None, quiet)
    assert pair.where == "monitor images"
    with pytest.raises(UserError, match="kept no model"):
        compare(runs, trained.workspace, trained.tracking, None, "recorded", quiet)


def test_what_cannot_be_compared_is_refused(trained: Trained, foreign: Path, tmp_path: Path) -> None:
    three, run = network(tmp_path / "three.keras", classes=3), trained.run_of(names.CONFIRM)
    with pytest.raises(UserError, match="tells 3 classes apart, the images have 7"):
        compare((str(three), run), trained.workspace, trained.tracking, None, None, quiet)
    with pytest.raises(UserError, match="say on which images"):
        compare((str(foreign), str(foreign)), trained.workspace, trained.tracking, None, None, quiet)


def test_a_scored_model_is_one_row_however_often_and_changes_no_verdict(
    own: Trained, foreign: Path, tmp_path: Path
) -> None:
    before = reports.verdict_of("recorded", own.tracking)
    looks = own.study().run.tags[names.SEEN]
    first = score(foreign, "recorded", own.workspace, own.tracking, quiet)
    again = score(foreign, "recorded", own.workspace, own.tracking, quiet)
    assert (first.new, again.new) == (True, False)
    assert first.accuracy == again.accuracy
    rows = comparison_rows(analyse(own.study()))
    scored = rows[rows.stage == names.SCORED]
    assert list(scored.architecture) == ["mine"]
    assert list(scored.verdict) == ["underpowered"]
    assert scored.val_accuracy.iloc[0] == pytest.approx(first.accuracy)
    assert scored.val_accuracy_ci_low.iloc[0] < first.accuracy < scored.val_accuracy_ci_high.iloc[0]
    assert reports.verdict_of("recorded", own.tracking).hash() == before.hash()
    assert own.study().run.tags[names.SEEN] == looks
    found = MlflowClient(own.tracking).get_run(scored.run_id.iloc[0])
    assert found.info.status == "FINISHED"
    assert np.isfinite(found.data.metrics["val_loss"])


def test_a_file_whose_class_names_change_replaces_its_row(own: Trained, tmp_path: Path) -> None:
    """The names decide which output is which class: the table shows what was printed last, once."""
    import keras

    file = network(tmp_path / "renamed.keras", classes=7)
    always_the_first = keras.saving.load_model(file, compile=False)
    kernel, bias = always_the_first.layers[-1].get_weights()
    always_the_first.layers[-1].set_weights([np.zeros_like(kernel), np.eye(7)[0] * 9 + bias])
    always_the_first.save(file)
    classes = own.study().about["data"]["class_names"]
    happy_first = sorted(
        classes, key=lambda name: name != "happy"
    )  # there are more happy faces than angry ones
    found = []
    for own_names in (None, classes, happy_first, classes):
        if own_names is not None:
            (tmp_path / names.LABELS_JSON).write_text(Labels(tuple(own_names)).text())
        found.append(score(file, "recorded", own.workspace, own.tracking, quiet))
        rows = comparison_rows(analyse(own.study()))
        scored = rows[(rows.stage == names.SCORED) & (rows.architecture == "renamed")]
        assert list(scored.val_accuracy) == [pytest.approx(found[-1].accuracy)]
    assert [one.replaced for one in found] == [False, True, True, True]
    assert found[0].accuracy == found[1].accuracy == found[3].accuracy < found[2].accuracy
