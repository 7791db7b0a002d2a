"""Every part must hold every class: look-alikes and single images cost one sentence with the way out."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from search.datasets.prepare import Prepared, prepare
from spaces.errors import UserError
from tests.support.images.small_pictures import encoded, in_folder, pictures, silent, tree


def prepared(source: object, tmp_path: Path, leaks: str = "purge-train") -> Prepared:
    return prepare(source, tmp_path / "cache", leaks=leaks, say=silent)  # type: ignore[arg-type]


def look_alikes(count: int) -> NDArray[np.uint8]:
    """One part before one camera: a picture with a little noise of its own each time."""
    noise = np.random.default_rng(2).integers(-3, 4, (count, 48, 48))
    return np.clip(pictures(1, side=48, seed=3)[0] + noise, 0, 255).astype(np.uint8)


def inspection(splits: dict[str, int]) -> dict[str, bytes]:
    """Good parts that look alike, and scratched ones that do not, so many of each in each split."""
    good, scratched = look_alikes(sum(splits.values())), pictures(sum(splits.values()), side=48, seed=5)
    files, at = {}, 0
    for split, count in splits.items():
        for number in range(at, at + count):
            files["/".join(filter(None, (split, "good", f"{number}.png")))] = encoded(good[number])
            files["/".join(filter(None, (split, "scratched", f"{number}.png")))] = encoded(scratched[number])
        at += count
    return files


def test_a_class_of_look_alikes_is_refused_with_the_way_out(tmp_path: Path) -> None:
    source = in_folder(inspection({"": 40}), tmp_path / "parts")
    with pytest.raises(UserError, match="would hold no image of the class 'good'") as caught:
        prepared(source, tmp_path)
    said = str(caught.value)
    assert "All of its 40 training images count as duplicates of each other." in said
    assert 'leaks = "report"' in said
    assert "--leaks report" in said


def test_the_way_out_leads_out(tmp_path: Path) -> None:
    data = prepared(in_folder(inspection({"": 40}), tmp_path / "parts"), tmp_path, "report")
    assert data.audit["parts"] == {
        "train": {"good": 32, "scratched": 32},
        "validation": {"good": 8, "scratched": 8},
    }
    assert any("Look-alikes were split like other images" in note for note in data.notes)
    assert len(set(data.train().groups.tolist())) == 64  # monitor and folds can be carved from them too


def test_equal_pixels_stay_together_all_the_same(tmp_path: Path) -> None:
    files = inspection({"": 20})
    files |= {f"good/copy-{number}.png": files["good/0.png"] for number in range(10)}
    data = prepared(in_folder(files, tmp_path / "parts"), tmp_path, "report")
    parts = {
        part for part in ("train", "validation") for name in getattr(data, part)().ids if "copy-" in name
    }
    assert len(parts) == 1


def test_purged_look_alikes_of_a_test_part_are_no_lack_of_images(tmp_path: Path) -> None:
    source = in_folder(inspection({"train": 20, "test": 10}), tmp_path / "parts")
    with pytest.raises(
        UserError, match="no training image left of the class 'good': all 20 look like"
    ) as caught:
        prepared(source, tmp_path)
    assert 'leaks = "report"' in str(caught.value)
    assert "more images" not in str(caught.value)
    assert prepared(source, tmp_path, "report").audit["parts"]["train"]["good"] == 16


def test_a_class_with_one_image_is_refused(tmp_path: Path) -> None:
    files = tree(("",), each=10) | {"emu/1.png": encoded(pictures(1, seed=8)[0])}
    with pytest.raises(UserError, match=r"no image of the class 'emu'.*one training image.*\[data\] classes"):
        prepared(in_folder(files, tmp_path / "data"), tmp_path)


def test_a_class_that_given_validation_lacks_is_a_loud_warning(tmp_path: Path) -> None:
    files = {name: raw for name, raw in tree(("train", "validation")).items() if "validation/owl" not in name}
    data = prepared(in_folder(files, tmp_path / "data"), tmp_path)
    assert data.notes[0].startswith("WARNING: The validation part has no image of owl")


def test_a_class_that_is_mostly_look_alikes_is_a_loud_warning(tmp_path: Path) -> None:
    files = inspection({"": 40})
    files |= {f"good/other-{n}.png": encoded(image) for n, image in enumerate(pictures(2, side=48, seed=9))}
    source = in_folder(files, tmp_path / "parts")
    notes = prepared(source, tmp_path).notes
    assert any(note.startswith("WARNING: Validation got 1 of 42 images of good") for note in notes) or any(
        note.startswith("WARNING: Validation got 2 of 42 images of good") for note in notes
    )
    assert prepared(source, tmp_path, "report").audit["parts"]["validation"]["good"] == 8


def test_images_that_are_all_one_picture_are_not_called_too_few(tmp_path: Path) -> None:
    """More of the same would not help: the sentence says what is wrong with those that are there."""
    images = np.zeros((60, 32, 32), np.uint8) + 100
    with pytest.raises(UserError, match=r"all 60 training images count as duplicates of each other"):
        prepared((images, np.arange(60) % 3), tmp_path)


def test_a_class_left_with_one_training_image_is_said_loudly(tmp_path: Path) -> None:
    files = tree(("",), each=10) | {
        f"yak/{number}.png": encoded(image) for number, image in enumerate(pictures(2, seed=11))
    }
    notes = prepared(in_folder(files, tmp_path / "data"), tmp_path).notes
    assert any(note.startswith("WARNING: One training image is left of yak") for note in notes)


def test_a_class_in_another_range_is_said_loudly(tmp_path: Path) -> None:
    files = tree(("",), each=10) | {
        f"yak/{number}.png": encoded(image // 8) for number, image in enumerate(pictures(10, seed=11))
    }
    notes = prepared(in_folder(files, tmp_path / "data"), tmp_path).notes
    assert any(note.startswith("WARNING: All images of yak are dark") for note in notes)
