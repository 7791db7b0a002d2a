"""People, scenes and products that the user names never straddle splits."""

from pathlib import Path

import numpy as np
import pytest

from search.datasets.prepare import Prepared, prepare
from spaces.errors import UserError
from tests.search.datasets.test_part_checks import inspection
from tests.support.images.small_pictures import encoded, in_folder, pictures, silent

PERSON = r"^(subject_\d+)"


def prepared(source: object, tmp_path: Path, group: str | None, **options: object) -> Prepared:
    return prepare(source, tmp_path / "cache", group=group, say=silent, **options)  # type: ignore[arg-type]


def people(splits: tuple[str, ...] = ("",), shared: bool = True) -> dict[str, bytes]:
    """Ten people of whom each has two images of each class; other ones in each split, or the same."""
    images = iter(pictures(60 * len(splits), side=24))
    return {
        "/".join(
            filter(None, (split, name, f"subject_{person + (0 if shared else 10 * at):02}_{n}.png"))
        ): encoded(next(images))
        for at, split in enumerate(splits)
        for name in ("calm", "glad", "sad")
        for person in range(10)
        for n in range(2)
    }


def persons(names: np.ndarray) -> set[str]:
    return {name.rpartition("/")[2][: len("subject_00")] for name in names.tolist()}


def test_a_person_is_in_one_part_and_in_one_group_over_all_classes(tmp_path: Path) -> None:
    data = prepared(in_folder(people(), tmp_path / "faces"), tmp_path, PERSON)
    train, validation = data.train(), data.validation()
    assert persons(train.ids) & persons(validation.ids) == set()
    assert 1 <= len(persons(validation.ids)) <= 4
    assert len(set(train.groups.tolist())) == len(persons(train.ids))
    assert data.audit["group"] == PERSON
    assert any(note.startswith(f"10 groups by {PERSON!r} (subject_00, subject_01") for note in data.notes)


def test_without_groups_people_straddle_and_the_entry_is_another(tmp_path: Path) -> None:
    source = in_folder(people(), tmp_path / "faces")
    alone = prepared(source, tmp_path, None)
    assert persons(alone.train().ids) & persons(alone.validation().ids)
    assert alone.folder != prepared(source, tmp_path, PERSON).folder
    assert "group" not in alone.audit


def test_training_images_of_people_in_given_parts_are_purged(tmp_path: Path) -> None:
    files = people(("train", "validation"), shared=False)
    files |= {
        name.replace("validation/", "train/"): encoded(image)
        for name, image in zip(
            [n for n in files if "validation/" in n and "_10_" in n],
            pictures(6, side=24, seed=4),
            strict=True,
        )
    }
    source = in_folder(files, tmp_path / "faces")
    data = prepared(source, tmp_path, PERSON)
    assert data.audit["purged"] == 6
    assert persons(data.train().ids) & persons(data.validation().ids) == set()
    assert any("6 training images with one of their group" in note for note in data.notes)
    assert prepared(source, tmp_path, PERSON, leaks="report").audit["purged"] == 0
    shared = in_folder(people(("train", "validation")), tmp_path / "shared")
    with pytest.raises(UserError, match=r"all 20 belong to groups that validation or test hold too"):
        prepared(shared, tmp_path, PERSON)


def test_images_of_equal_pixels_join_groups_and_unmatched_ones_stand_alone(tmp_path: Path) -> None:
    files = people()
    files["calm/subject_00_9.png"] = files["glad/subject_01_0.png"]
    files["calm/nobody.png"] = encoded(pictures(1, side=24, seed=6)[0])
    data = prepared(in_folder(files, tmp_path / "faces"), tmp_path, PERSON)
    group = {
        name: number
        for part in (data.train(), data.validation())
        for name, number in zip(part.ids.tolist(), part.groups.tolist(), strict=True)
    }
    first = {name.rpartition("/")[2][:10]: number for name, number in group.items()}
    assert first["subject_00"] == first["subject_01"] != first["subject_02"]
    assert list(group.values()).count(group["train/calm/nobody.png"]) == 1
    assert any("1 images belong to none and stand alone" in note for note in data.notes)


def test_groups_lead_out_of_look_alikes(tmp_path: Path) -> None:
    """Parts before one camera all look alike; each file is a part of its own."""
    data = prepared(in_folder(inspection({"": 40}), tmp_path / "parts"), tmp_path, r"^\d+")
    assert data.audit["parts"]["validation"]["good"] == 8


def test_a_column_of_arrays_or_of_a_table_names_groups(tmp_path: Path) -> None:
    rows = np.arange(60)
    named = {"x_train": pictures(60, side=24), "y_train": rows % 3, "person_train": rows // 6}
    data = prepared(named, tmp_path, "person")
    sides = [
        {int(name[-7:]) // 6 for name in part.ids.tolist()} for part in (data.train(), data.validation())
    ]
    assert not sides[0] & sides[1]
    lines = ["emotion,pixels,Person"]
    for row, image in enumerate(pictures(60, side=24)):
        lines.append(f"{row % 3},{' '.join(map(str, image.ravel()))},p{row // 6}")
    (tmp_path / "faces.csv").write_text("\n".join(lines))
    data = prepared(tmp_path / "faces.csv", tmp_path, "person")
    sides = [
        {(int(name[-6:]) - 2) // 6 for name in part.ids.tolist()}
        for part in (data.train(), data.validation())
    ]
    assert not sides[0] & sides[1]


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ("(subject", "no column, and no valid pattern"),
        ("person", r"matches no file name .*\(subject_00_0.png"),
    ],
)
def test_a_group_that_is_nothing_is_refused(group: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        prepared(in_folder(people(), tmp_path / "faces"), tmp_path, group)


def test_one_group_for_a_whole_class_is_refused_by_its_name(tmp_path: Path) -> None:
    files = {
        name.replace("subject_", "all_") if name.startswith("sad") else name: raw
        for name, raw in people().items()
    }
    with pytest.raises(UserError, match=r"class 'sad'.*belong to one group, by \[data\] group"):
        prepared(in_folder(files, tmp_path / "faces"), tmp_path, r"^(subject_\d+|all)")
