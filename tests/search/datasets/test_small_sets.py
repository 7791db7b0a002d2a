"""Where no image can be spared to watch the training, one sentence says so before anything is trained."""

from pathlib import Path

import pytest

from search.datasets.prepare import Prepared, prepare
from search.training.replicates import plan_replicates
from spaces.errors import UserError
from tests.support.images.small_pictures import in_folder, silent, tree
from tests.support.processes.tasks import small_task

pytestmark = pytest.mark.slow  # imports Keras


def prepared(files: dict[str, bytes], tmp_path: Path) -> Prepared:
    return prepare(in_folder(files, tmp_path / "data"), tmp_path / "cache", say=silent)


def test_two_images_a_class_are_too_few_for_validation_and_monitor(tmp_path: Path) -> None:
    data = prepared(tree(("train",), each=2), tmp_path)
    for folds in (None, 2):
        with pytest.raises(UserError, match=r"Of the 3 images to train on, no class has two .* monitor"):
            plan_replicates(small_task(folds=folds), data)


def test_one_training_image_a_class_is_too_few_for_monitor(tmp_path: Path) -> None:
    data = prepared(tree(("train", "validation"), each=1), tmp_path)
    with pytest.raises(UserError, match="monitor, which watches the training, would be empty"):
        plan_replicates(small_task(), data)


def test_three_images_a_class_are_enough(tmp_path: Path) -> None:
    (one,) = plan_replicates(small_task(), prepared(tree(("train",), each=3), tmp_path))
    assert (len(one.training), len(one.monitor)) == (3, 3)
