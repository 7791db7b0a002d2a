"""The audit names what it found: as sentences, as lists of files, and on a page that works alone."""

import csv
import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from search.datasets.audit.audit import audit
from search.datasets.audit.findings import percent, sentences
from search.datasets.prepare import prepare
from search.datasets.synthetic.dataset import draw
from spaces.errors import UserError
from tests.support.images.small_pictures import encoded, in_folder, in_zip, pictures, silent, tree


def leaky(folder: Path) -> Path:
    """Write a set with one exact and one near leak, one conflict, one mirrored pair and two flat images."""
    images = pictures(9, side=48, seed=4)
    files = tree(side=48, each=6) | {
        "test/cat/a.png": encoded(images[0]),
        "train/cat/a.png": encoded(images[0]),
        "validation/dog/b.png": encoded(images[1]),
        "train/owl/b.jpg": encoded(images[1], "jpg", quality=80),
        "train/cat/c.png": encoded(images[2]),
        "train/cat/d.png": encoded(images[2][:, ::-1]),
        "train/cat/black.png": encoded(np.zeros((48, 48), np.uint8)),
        "train/dog/grey.png": encoded(np.full((48, 48), 90, np.uint8)),
    }
    return in_folder(files, folder)


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_lists_name_every_file(tmp_path: Path) -> None:
    said: list[str] = []
    audit([str(leaky(tmp_path / "zoo"))], tmp_path / "cache", tmp_path / "out", said.append)
    leaks = {line["id"]: line for line in lines(tmp_path / "out/leaks.csv")}
    assert {name: (line["twin_id"], line["kind"]) for name, line in leaks.items()} == {
        "test/cat/a.png": ("train/cat/a.png", "exact"),
        "validation/dog/b.png": ("train/owl/b.jpg", "near"),
    }
    assert sorted(line["mirrored"] for line in lines(tmp_path / "out/near_pairs.csv")) == ["no", "yes"]
    assert {line["id"] for line in lines(tmp_path / "out/flat.csv")} == {
        "train/cat/black.png",
        "train/dog/grey.png",
    }
    assert {line["id"] for line in lines(tmp_path / "out/twins.csv") if line["labels_differ"] == "yes"} == {
        "validation/dog/b.png",
        "train/owl/b.jpg",
    }
    assert lines(tmp_path / "out/classes.csv")[0] == {
        "class": "cat",
        "train": "10",
        "validation": "6",
        "test": "7",
    }
    assert any("of zoo's validation images (1 of 19)" in sentence for sentence in said)


def test_the_page_is_one_file_with_its_pictures_and_no_script(tmp_path: Path) -> None:
    page = audit([str(leaky(tmp_path / "zoo"))], tmp_path / "cache", tmp_path / "out", silent).read_text()
    assert page.count("data:image/png;base64,") >= 8
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "<script" not in page
    for title in ("pixel by pixel", "stored anew", "mirrored", "several labels", "nearly constant"):
        assert title in page


def test_names_of_files_and_classes_cannot_write_into_the_page(tmp_path: Path) -> None:
    files = {name.replace("cat", "<b>cat"): content for name, content in tree().items()}
    page = audit(
        [str(in_zip(files, tmp_path / "x.zip"))], tmp_path / "cache", tmp_path / "out", silent
    ).read_text()
    assert "<b>cat" not in page
    assert "&lt;b&gt;cat" in page


def test_every_prepared_set_has_its_audit_beside_it(tmp_path: Path) -> None:
    data = prepare(leaky(tmp_path / "zoo"), tmp_path / "cache", say=silent)
    facts = json.loads((data.folder / "audit/audit.json").read_text())
    assert facts["sets"][0]["audit"] == data.audit
    assert (data.folder / "audit/audit.html").is_file()


def test_resized_copies_of_a_set_give_themselves_away(tmp_path: Path) -> None:
    images = pictures(36, side=48, seed=2)
    small = {f"{'ab'[n % 2]}/{n}.png": encoded(image) for n, image in enumerate(images[:24])}
    large = {}
    for n, image in enumerate(images[12:]):
        copy = np.asarray(Image.fromarray(image).resize((80, 80), Image.Resampling.BICUBIC))
        large[f"{'ab'[n % 2]}/x{n}.jpg"] = encoded(np.stack([copy] * 3, axis=-1), "jpg", quality=90)
    said: list[str] = []
    sources = [str(in_zip(small, tmp_path / "small.zip")), str(in_zip(large, tmp_path / "large.zip"))]
    audit(sources, tmp_path / "cache", tmp_path / "out", said.append)
    assert "50.0% of large's images (12 of 24) are in small." in said
    across = json.loads((tmp_path / "out/audit.json").read_text())["across"]
    assert (across[0]["pairs"], across[0]["relabelled_pairs"]) == (12, 0)
    assert len(lines(tmp_path / "out/small_and_large.csv")) == 12
    assert (tmp_path / "out/small/twins.csv").is_file()


def test_a_set_against_its_own_renamed_half_is_found_pixel_by_pixel(tmp_path: Path) -> None:
    files = tree(("train",), each=8, side=16)
    half = {
        name.replace("train/", ""): content
        for number, (name, content) in enumerate(files.items())
        if number % 2
    }
    one, other = in_zip(files, tmp_path / "set.zip"), in_folder(half, tmp_path / "set")
    said: list[str] = []
    audit([str(one), str(other)], tmp_path / "cache", tmp_path / "out", said.append)
    assert "100% of set-2's images (12 of 12) are in set-1." in said
    assert "50.0% of set-1's images (12 of 24) are in set-2." in said


def test_an_audit_of_nothing_and_one_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Nothing to audit"):
        audit([], tmp_path / "cache", tmp_path / "out", silent)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot be used as a folder"):
        audit([str(in_zip(tree(), tmp_path / "data.zip"))], tmp_path / "cache", tmp_path / "file", silent)


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [
        (0, 9, "0%"),
        (9, 9, "100%"),
        (1, 3, "33.3%"),
        (5998, 6000, "99.97%"),
        (1, 99_999, "0.01%"),
        (0, 0, "0%"),
    ],
)
def test_a_share_reads_100_percent_only_where_it_is_all(part: int, whole: int, said: str) -> None:
    assert percent(part, whole) == said


def test_a_set_that_was_augmented_before_the_split_is_recognised(tmp_path: Path) -> None:
    parts = ("train", "train", "train", "validation", "test")
    files = {}
    for number, image in enumerate(pictures(24, side=48, seed=9)):
        for variant, part in enumerate(parts):
            changed = np.clip((image / 255.0) ** (0.6 + 0.25 * variant) * 255, 0, 255).astype(np.uint8)
            files[f"{part}/{('cat', 'dog')[number % 2]}/{number}-{variant}.png"] = encoded(changed)
    data = prepare(str(in_folder(files, tmp_path / "set")), tmp_path / "cache", leaks="report", say=silent)
    said = [sentence for sentence in sentences(data.audit, data.name) if "augmented" in sentence]
    assert len(said) == 1
    assert "about 5 variants of each image, spread over train and validation and test" in said[0]


def test_a_set_that_was_turned_zoomed_and_shifted_before_the_split_is_recognised(tmp_path: Path) -> None:
    """Keras' usual augmentation: six variants of each face, at random in train and in test."""
    random = np.random.default_rng(4)
    faces = draw(train=30, validation=1, test=1, seed=5)["train"][0][..., 0]
    files = {}
    for number, image in enumerate(faces):
        for variant in range(6):
            matrix = cv2.getRotationMatrix2D(
                (23.5, 23.5), random.uniform(-20, 20), random.uniform(0.85, 1.15)
            )
            matrix[:, 2] += random.uniform(-4, 4, 2)
            changed = cv2.warpAffine(image, matrix, (48, 48), borderMode=cv2.BORDER_REPLICATE)
            changed = np.ascontiguousarray(changed[:, ::-1] if variant % 2 else changed)
            part = "test" if random.random() < 0.3 else "train"
            files[f"{part}/{('cat', 'dog')[number % 2]}/{number}-{variant}.png"] = encoded(changed)
    data = prepare(str(in_folder(files, tmp_path / "set")), tmp_path / "cache", leaks="report", say=silent)
    said = [sentence for sentence in sentences(data.audit, data.name) if "augmented" in sentence]
    assert len(said) == 1
    assert "about 6 variants of each image, spread over train and test" in said[0]
    assert data.audit["twins"]["largest"] == 6  # nothing else hangs together
    assert data.audit["leaks"]["test_in_train"]["share"] > 0.95


def test_a_set_with_few_copies_is_not_called_augmented(tmp_path: Path) -> None:
    data = prepare(str(leaky(tmp_path / "set")), tmp_path / "cache", say=silent)
    assert not [sentence for sentence in sentences(data.audit, data.name) if "augmented" in sentence]
