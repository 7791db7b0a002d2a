"""The synthetic set is what its seed says, image by image, and as wrong as it says."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from search.datasets.synthetic.dataset import (
    CLASS_NAMES,
    CONFUSABLE,
    DEFAULTS,
    NOISE,
    contact_sheet,
    draw,
)
from search.datasets.synthetic.dataset import Part as SyntheticPart

pytestmark = pytest.mark.slow  # draws every image of the default set


@pytest.fixture(scope="module")
def parts() -> dict[str, SyntheticPart]:
    return draw()


def expressions(part: SyntheticPart) -> np.ndarray:
    """Return what was drawn, which the ids tell."""
    return np.array([CLASS_NAMES.index(name.split("/")[2]) for name in part[2]])


def test_parts_have_the_stated_sizes_types_and_shapes(parts: dict[str, SyntheticPart]) -> None:
    assert {part: len(labels) for part, (_, labels, _) in parts.items()} == DEFAULTS
    for name, (images, labels, ids) in parts.items():
        assert (images.dtype, images.shape) == (np.uint8, (DEFAULTS[name], 48, 48, 1))
        assert (labels.dtype, labels.shape) == (np.int64, (DEFAULTS[name],))
        assert ids.dtype.kind == "U"
        assert ids[123] == f"synthetic/{name}/{CLASS_NAMES[expressions(parts[name])[123]]}/000123"


def test_the_same_seed_draws_the_same_images(parts: dict[str, SyntheticPart]) -> None:
    again = draw(validation=0, test=0)["train"]
    for first, second in zip(parts["train"], again, strict=True):
        np.testing.assert_array_equal(first, second)


def test_another_seed_draws_other_images() -> None:
    one, other = (draw(20, 0, 0, seed=seed)["train"][0] for seed in (0, 1))
    assert not (one == other).all(axis=(1, 2, 3)).any()


@pytest.mark.parametrize("n", [1, 39, 230])
def test_an_image_does_not_depend_on_how_many_are_drawn(parts: dict[str, SyntheticPart], n: int) -> None:
    shorter = draw(train=3, validation=n, test=0)["validation"]
    for few, many in zip(shorter, parts["validation"], strict=True):
        np.testing.assert_array_equal(few, many[:n])


def test_an_empty_part_is_empty() -> None:
    images, labels, ids = draw(0, 0, 0)["test"]
    assert (images.shape, labels.shape, ids.shape) == ((0, 48, 48, 1), (0,), (0,))


def test_no_two_images_are_alike(parts: dict[str, SyntheticPart]) -> None:
    images = [image.tobytes() for pixels, _, _ in parts.values() for image in pixels]
    assert len(set(images)) == len(images) == 4400
    ids = np.concatenate([ids for _, _, ids in parts.values()])
    assert len(set(ids)) == 4400


def test_wrong_labels_are_as_many_as_stated_and_plausible(parts: dict[str, SyntheticPart]) -> None:
    truth = np.concatenate([expressions(part) for part in parts.values()])
    labels = np.concatenate([labels for _, labels, _ in parts.values()])
    wrong = truth != labels
    standard_error = np.sqrt(NOISE * (1 - NOISE) / len(labels))
    assert abs(wrong.mean() - NOISE) < 3 * standard_error
    mistakes = {(CLASS_NAMES[a], CLASS_NAMES[b]) for a, b in zip(truth[wrong], labels[wrong], strict=True)}
    assert mistakes == {(name, other) for name, others in CONFUSABLE.items() for other in others}


def test_label_noise_changes_labels_and_never_images() -> None:
    (clean, truth, ids), (noisy, labels, same) = (draw(120, 0, 0, noise=p)["train"] for p in (0.0, 0.5))
    np.testing.assert_array_equal(clean, noisy)
    np.testing.assert_array_equal(ids, same)
    np.testing.assert_array_equal(truth, expressions((clean, truth, ids)))
    assert 0.3 < (truth != labels).mean() < 0.7


def test_every_run_of_forty_has_the_same_mild_imbalance(parts: dict[str, SyntheticPart]) -> None:
    runs = expressions(parts["train"]).reshape(-1, 40)
    counts = [np.bincount(run, minlength=7).tolist() for run in runs]
    assert counts == [[6, 4, 6, 8, 6, 6, 4]] * 50


def test_images_use_the_whole_range_of_grays_and_vary(parts: dict[str, SyntheticPart]) -> None:
    images = parts["train"][0].astype(float)
    assert (images.min(), images.max()) == (0, 255)
    brightness, contrast = images.mean(axis=(1, 2, 3)), images.std(axis=(1, 2, 3))
    assert 10 < brightness.std() < 60
    assert contrast.min() > 8  # no picture is blank


def test_the_picture_of_the_documentation_is_made_by_the_stated_command(tmp_path) -> None:
    target = tmp_path / "sheet.png"
    subprocess.run([sys.executable, "-m", "search.datasets.synthetic.dataset", str(target)], check=True)
    with Image.open(target) as picture:
        assert picture.size == contact_sheet().size == (9 * 96, 7 * 96)
