"""Planted duplicates are found, other pictures are not; what is found decides purging and groups."""

import io
import os
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from search.datasets.audit.findings import sentences
from search.datasets.duplicates import near
from search.datasets.duplicates.groups import exact_pairs, find_duplicates
from search.datasets.duplicates.near import near_pairs
from search.datasets.prepare import prepare
from search.sealed import sealed_test
from tests.support.images.small_pictures import encoded, in_folder, pictures, silent, tree

pytestmark = pytest.mark.slow  # compares thousands of images

Picture = NDArray[np.uint8]
BILINEAR = Image.Resampling.BILINEAR


def jpeg(image: Picture, quality: int = 75) -> Picture:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def resized(image: Picture) -> Picture:
    return np.asarray(Image.fromarray(image).resize((64, 64), BILINEAR).resize((48, 48), BILINEAR))


def cropped(image: Picture) -> Picture:
    return np.asarray(Image.fromarray(image).resize((48, 48), BILINEAR, box=(1, 2, 47, 47)))


def brighter(image: Picture, factor: float) -> Picture:
    return np.clip(image * factor, 0, 255).astype(np.uint8)


def curved(image: Picture, gamma: float) -> Picture:
    return (255 * (image / 255.0) ** gamma).round().astype(np.uint8)


CHANGES: dict[str, Callable[[Picture], Picture]] = {
    "JPEG at quality 75": jpeg,
    "resized to 64 and back": resized,
    "10% brighter": lambda image: brighter(image, 1.1),
    "10% darker": lambda image: brighter(image, 0.9),
    "less contrast": lambda image: brighter(image, 0.8) + np.uint8(25),
    "mirrored": lambda image: image[:, ::-1],
    "mirrored JPEG": lambda image: jpeg(np.ascontiguousarray(image[:, ::-1])),
    "cropped": cropped,
    "gamma 0.6": lambda image: curved(image, 0.6),
    "gamma 1.6": lambda image: curved(image, 1.6),
    "equalised": cv2.equalizeHist,
    "CLAHE at 224": lambda image: cv2.createCLAHE(2.0, (8, 8)).apply(cv2.resize(image, (224, 224))),
    "mirrored and equalised": lambda image: cv2.equalizeHist(np.ascontiguousarray(image[:, ::-1])),
}


@pytest.fixture(scope="module")
def faces() -> Picture:
    """Return 1,500 synthetic faces, (n, 48, 48)."""
    from search.datasets.synthetic.dataset import draw

    return draw(train=1500, validation=1, test=1, seed=11)["train"][0][..., 0]


@pytest.mark.parametrize("change", CHANGES)
def test_of_planted_near_duplicates_95_percent_are_found_and_nothing_else(
    change: str, faces: Picture
) -> None:
    originals = faces[:200]
    copies = np.stack([CHANGES[change](image) for image in originals])
    pairs = near_pairs(originals[..., None], copies[..., None])
    right = pairs.one == pairs.other
    assert right.sum() >= 0.95 * len(originals)
    assert right.all()
    assert pairs.mirrored.any() == change.startswith("mirrored")


def warped(image: Picture, degrees: float, zoom: float, shift: float, mirrored: bool = False) -> Picture:
    """Turn, zoom and shift (by a share of the side) a picture; edges are repeated, as Keras may."""
    side = len(image)
    matrix = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), degrees, zoom)
    matrix[:, 2] += shift * side
    found = cv2.warpAffine(image, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(found[:, ::-1]) if mirrored else found


TURNS: dict[str, Callable[[Picture], Picture]] = {
    "turned by 12": lambda image: warped(image, 12, 1, 0),
    "turned by -28": lambda image: warped(image, -28, 1, 0),
    "zoomed by 0.8": lambda image: warped(image, 0, 0.8, 0),
    "zoomed by 1.2": lambda image: warped(image, 0, 1.2, 0),
    "shifted by 15%": lambda image: warped(image, 0, 1, 0.15),
    "turned and mirrored": lambda image: warped(image, 20, 1, 0, mirrored=True),
    "turned, zoomed and shifted": lambda image: warped(image, -20, 0.9, 0.08),
    "turned, CLAHE": lambda image: cv2.createCLAHE(2.0, (8, 8)).apply(warped(image, 15, 1, 0)),
}


def test_copies_in_another_pose_are_found_and_nothing_else(faces: Picture) -> None:
    """All kinds are asked about at once; each finds nearly all of its originals, and no other image."""
    originals = faces[:100]
    copies = np.concatenate([np.stack([change(image) for image in originals]) for change in TURNS.values()])
    pairs = near_pairs(copies[..., None], originals[..., None])
    kind, original = np.divmod(pairs.one, len(originals))
    right = pairs.other == original
    found = {name: int((kind[right] == number).sum()) for number, name in enumerate(TURNS)}
    assert {name: count for name, count in found.items() if count < 90} == {}
    assert (~right).sum() == 0
    mirrored = kind == list(TURNS).index("turned and mirrored")
    assert pairs.mirrored[mirrored & right].mean() > 0.95
    assert not pairs.mirrored[~mirrored].any()


def test_real_copies_in_another_pose_are_found_within_a_set() -> None:
    """Real faces, each kept once as it is and once turned, zoomed and shifted."""
    source = Path(os.environ.get("FER2013_ZIP", "data/fer2013.zip"))
    if not source.exists():
        pytest.skip(f"{source} is not there: name a zip of FER-2013's images in FER2013_ZIP")
    with zipfile.ZipFile(source) as file:
        names = sorted(name for name in file.namelist() if name.endswith(".jpg"))[::250]
        real = np.unique([np.asarray(Image.open(file.open(name)).convert("L")) for name in names], axis=0)
    real = real[real.std((1, 2)) > 20]
    copies = np.stack([warped(image, 18, 0.9, 0.06) for image in real])
    pairs = near_pairs(np.concatenate([real, copies])[..., None])
    right = pairs.other - pairs.one == len(real)
    assert right.sum() >= 0.95 * len(real)
    assert (~right).sum() <= 2  # FER-2013 has copies of its own


def test_the_search_for_poses_needs_little_more_than_the_pictures_show() -> None:
    """Flat pictures have no keypoints to compare; two pictures are enough to find a copy."""
    image = pictures(1, side=64, seed=3)[0]
    both = np.stack([image, warped(image, 25, 1, 0)])[..., None]
    assert near_pairs(both).one.tolist() == [0]
    assert len(near_pairs(np.concatenate([both[:1], np.full_like(both[:1], 7)]))) == 0


def test_every_planted_exact_duplicate_is_found_and_different_faces_are_no_duplicates(faces: Picture) -> None:
    both = np.concatenate([faces, faces[::10]])[..., None]
    duplicates = find_duplicates(both, [image.tobytes() for image in both])
    assert (duplicates.exact[len(faces) :] == duplicates.exact[: len(faces) : 10]).all()
    assert len(set(duplicates.groups.tolist())) == len(set(duplicates.exact.tolist())) == len(faces)
    assert len(duplicates.near) == 0


def test_copies_of_another_size_and_in_colour_are_found(faces: Picture) -> None:
    large = [np.asarray(Image.fromarray(image).resize((112, 112), BILINEAR)) for image in faces[:100]]
    pairs = near_pairs(faces[:100, ..., None], np.stack([np.stack([image] * 3, axis=-1) for image in large]))
    assert (pairs.one == pairs.other).sum() >= 95
    assert len(pairs) <= 100


def test_images_without_detail_are_no_near_duplicates() -> None:
    flat = np.random.default_rng(0).integers(99, 102, (50, 48, 48, 1), dtype=np.uint8)
    assert len(near_pairs(flat)) == 0
    assert len(near_pairs(np.random.default_rng(0).integers(0, 255, (9, 8, 8, 1), dtype=np.uint8))) == 0


def test_exact_pairs_pair_each_image_with_the_first_of_its_kind() -> None:
    assert exact_pairs([b"a", b"b", b"a", b"a"]) == [(0, 2), (0, 3)]


def planted(folder: Path) -> Path:
    """Write a set whose train has an exact duplicate of a test image and a near one of a validation image."""
    images = pictures(40, side=48, seed=4)
    files = tree(side=48)
    files |= {
        "test/cat/original.png": encoded(images[0]),
        "train/cat/exact.png": encoded(images[0]),
        "validation/dog/original.png": encoded(images[1]),
        "train/owl/near.jpg": encoded(images[1], "jpg", quality=80),
        "train/cat/one.png": encoded(images[2]),
        "train/dog/two.png": encoded(images[2]),
    }
    return in_folder(files, folder)


def test_training_duplicates_of_evaluation_images_are_purged_and_those_images_are_marked(
    tmp_path: Path,
) -> None:
    data = prepare(planted(tmp_path / "data"), tmp_path / "cache", say=silent)
    train, validation, test = data.train(), data.validation(), sealed_test(data)
    assert data.audit["purged"] == 2
    assert not {"train/cat/exact.png", "train/owl/near.jpg"} & set(train.ids)
    assert {"train/cat/one.png", "train/dog/two.png"} <= set(train.ids)
    assert validation.ids[validation.has_twin].tolist() == ["validation/dog/original.png"]
    assert test.ids[test.has_twin].tolist() == ["test/cat/original.png"]
    assert not train.has_twin.any()
    group = dict(zip(train.ids.tolist(), train.groups.tolist(), strict=True))
    assert group["train/cat/one.png"] == group["train/dog/two.png"]
    leaks = data.audit["leaks"]
    assert (leaks["validation_in_train"]["images"], leaks["validation_in_train"]["exact"]) == (1, 0)
    assert (leaks["test_in_train"]["images"], leaks["test_in_train"]["exact"]) == (1, 1)
    assert data.audit["twins"]["conflicting_groups"] == 2


def test_duplicates_that_are_only_reported_stay_and_are_marked_on_both_sides(tmp_path: Path) -> None:
    data = prepare(planted(tmp_path / "data"), tmp_path / "cache", leaks="report", say=silent)
    train = data.train()
    assert set(train.ids[train.has_twin]) == {"train/cat/exact.png", "train/owl/near.jpg"}
    assert data.audit["purged"] == 0


def test_no_image_is_lost_and_carved_validation_has_no_duplicate_in_train(tmp_path: Path) -> None:
    files = tree(("train",), each=10, side=48)
    doubled = files | {name.replace(".png", "-again.png"): content for name, content in files.items()}
    data = prepare(in_folder(doubled, tmp_path / "data"), tmp_path / "cache", say=silent)
    train, validation = data.train(), data.validation()
    assert len(train) + len(validation) == 60
    assert not set(train.groups) & set(validation.groups)
    assert not validation.has_twin.any()


def test_plain_shapes_that_all_look_alike_are_no_duplicates() -> None:
    across = np.linspace(-1, 1, 28, dtype=np.float32)
    widths, slants = np.random.default_rng(0).uniform((0.15, -0.2), (0.4, 0.2), (300, 2)).T[:, :, None, None]
    strokes = 255 * np.exp(-(((across - slants * across[:, None]) / widths) ** 4))
    images = np.concatenate([strokes.astype(np.uint8), pictures(300, side=28)])[..., None]
    duplicates = find_duplicates(images, [image.tobytes() for image in images])
    assert duplicates.look_alikes > 250
    assert len(set(duplicates.groups.tolist())) > 500


def varied(image: Picture, count: int) -> Picture:
    """Return the frames of a camera that does not move: one picture under noise, (count, h, w)."""
    noise = np.random.default_rng(0).normal(0, 4, (count, *image.shape))
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def test_frames_of_one_video_are_told_from_images_without_duplicates(tmp_path: Path) -> None:
    still = tree(("train",), side=48)
    frames = varied(pictures(1, side=48, seed=7)[0], 130)
    clip = {f"train/cat/frame{number}.png": encoded(frame) for number, frame in enumerate(frames)}
    said = {}
    for name, files in (("stills", still), ("clips", still | clip)):
        data = prepare(in_folder(files, tmp_path / name), tmp_path / "cache", say=silent)
        said[name] = sentences(data.audit, name)
    assert said["stills"] == ["No image of stills has a duplicate in another split."]
    assert data.audit["look_alikes"] > 120
    count = f"{data.audit['look_alikes']:,}"
    assert said["clips"][0].startswith(f"{count} images of clips look alike in large groups")
    assert "with each video in one of train, validation and test" in said["clips"][0]
    assert not any("No image" in sentence for sentence in said["clips"])


@pytest.mark.parametrize("one_set", [True, False])
def test_the_best_candidates_are_found_however_few_are_compared_at_once(
    one_set: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    drawn = random.normal(size=(5, 144))[random.integers(0, 5, 300)] + random.normal(0, 0.4, (300, 144))
    thumbnails = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    likeness = thumbnails @ thumbnails.T
    allowed = (likeness > near.CANDIDATE) & (np.triu(np.ones((300, 300), bool), 1) | (not one_set))
    most = near.WITHIN if one_set else near.BETWEEN
    best = [np.sort(row[mask])[::-1][:most] for row, mask in zip(likeness, allowed, strict=True)]
    monkeypatch.setattr(near, "_BLOCK", 8)
    rows, columns = near._alike(thumbnails, thumbnails, one_set)
    assert allowed[rows, columns].all()
    assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == len(rows)
    assert rows.tolist() == [row for row, values in enumerate(best) for _ in values]
    np.testing.assert_allclose(likeness[rows, columns], np.concatenate(best), atol=1e-6)


def test_the_memory_for_candidates_does_not_grow_with_the_images_that_are_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(near, "_BLOCK", 256)

    def peak(count: int) -> int:
        alike = np.random.default_rng(0).normal(1 / 12, 0.001, (count, 144)).astype(np.float32)
        tracemalloc.start()
        near._alike(alike[:64], alike, one_set=False)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    assert peak(16_384) < 2 * peak(2_048)


def test_of_large_images_fewer_are_in_memory_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels: list[int] = []
    gray = near._gray

    def counted(images: Picture) -> Picture:
        pixels.append(images.shape[0] * images.shape[1] * images.shape[2])
        return gray(images)

    monkeypatch.setattr(near, "_gray", counted)
    frames = varied(pictures(1, side=320)[0], 30)[..., None]
    assert len(near_pairs(frames)) > 100
    assert max(pixels) <= 512 * 96 * 96
    assert near._at_once(512, frames[:, :96, :96]) == 512
