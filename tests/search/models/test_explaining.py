"""An explanation points at what the answer depends on, whatever the architecture; an export answers alike."""

from pathlib import Path

import keras
import numpy as np
import pytest

from search.models.batches import label_pictures
from search.models.classifier import Classifier, Labels, as_classifier, open_file
from search.models.drawing import Region, annotated
from search.models.explanation_sheet import sheet
from search.models.export import export
from search.models.face_detection import Face
from search.models.images import Picture
from search.models.keras_file import in_float32
from search.models.occlusion import importance, overlay
from search.models.predict import predict_emotion, raw_probabilities
from search.training.composition import compose
from search.training.recipe import Recipe
from spaces.errors import UserError
from spaces.family import load_family
from tests.search.models.conftest import CLASSES, drawing

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def _brightness_of_a_corner() -> Classifier:
    """Class 1 is as probable as the upper left quarter of the image is bright."""
    images = keras.Input((24, 24, 1), dtype="uint8")
    floats = keras.layers.Rescaling(1 / 255, dtype="float32")(images)
    corner = keras.layers.Cropping2D(((0, 12), (0, 12)))(floats)
    mean = keras.layers.GlobalAveragePooling2D()(corner)
    answer = keras.layers.Dense(2, activation="softmax", kernel_initializer="zeros")
    network = keras.Model(images, answer(mean))
    answer.set_weights([np.array([[0.0, 8.0]]), np.array([0.0, -4.0])])
    return as_classifier(network, Labels(("dark", "bright")), "corner")


def test_covering_what_matters_lowers_the_probability() -> None:
    """Only the bright spot in the corner that the network looks at; a spot elsewhere is nothing to it."""
    image = np.zeros((24, 24, 1), np.uint8)
    image[2:8, 2:8] = image[16:22, 16:22] = 255
    heat = importance(_brightness_of_a_corner(), image, 1)
    assert heat.shape == (24, 24)
    assert heat[3:7, 3:7].mean() > 0.01
    assert heat[17:21, 17:21] == pytest.approx(0, abs=1e-6)
    shown = np.asarray(overlay(image, heat, 24)).astype(int)
    assert (shown[4, 4, 0] - shown[4, 4, 2]) > 20  # red
    assert shown[18, 18].tolist() == [255, 255, 255]


@pytest.mark.parametrize("name", ["plain_cnn", "mini_xception", "inception", "lenet5_modern"])
def test_whatever_the_head_it_can_be_explained(name: str) -> None:
    """Pooled, flattened, with branches or without: nothing but probabilities is asked for."""
    family = load_family(name)
    shape = (48, 48, 1)
    network = family.build(min(family.variants.values(), key=lambda a: len(str(a))), shape, 3)
    heat = importance(
        as_classifier(network, Labels(CLASSES), name), np.asarray(drawing("L", (48, 48)))[..., None], 0
    )
    assert np.isfinite(heat).all()
    assert heat.shape == (48, 48)


def test_a_sheet_has_a_row_for_each_class(classifier: Classifier) -> None:
    """Also for one of which no image is recognised."""
    images = np.stack([np.asarray(drawing("L", (20, 24)))[..., None] // (1 + n) for n in range(6)])
    labels = np.array([0, 1, 2, 0, 1, 2])
    assert np.asarray(sheet(classifier, images, labels)).std() > 1
    assert sheet(classifier, images[:0], labels[:0]).size == sheet(classifier, images, labels).size


def test_a_face_is_found_boxed_and_labelled(classifier: Classifier) -> None:
    """On a photograph that comes with matplotlib; a gradient has no face in it, a text is no picture."""
    import matplotlib

    photograph = Picture.of(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg")
    pictures = [photograph, Picture.of(drawing("RGB", (200, 200))), Picture("text", b"none")]
    portrait, nobody, text = label_pictures(classifier, pictures, faces=True)
    (region,) = portrait.regions
    assert region.face is not None
    assert abs(region.face.left + region.face.side / 2 - 256) < 60
    assert region.prediction.label in CLASSES
    assert (nobody.regions, nobody.mistake, text.regions) == ((), "", ())
    assert "text is no image" in text.mistake
    drawn = annotated(photograph.upright(), portrait.regions)
    assert drawn.width > photograph.upright().shape[1]


def test_a_picture_with_many_faces_has_a_panel_for_each(classifier: Classifier) -> None:
    """The sheet grows with them."""
    picture = np.asarray(drawing("RGB", (300, 200)))
    region = [Region(predict_emotion(classifier, picture), Face(10 * n, 10, 50)) for n in range(9)]
    assert annotated(picture, region).height > annotated(picture, region[:1]).height


@pytest.mark.parametrize("form", ["keras", "onnx"])
def test_what_is_exported_answers_as_keras_does(
    classifier: Classifier, network_file: Path, tmp_path: Path, form: str
) -> None:
    """The file is loaded again and asked; the labels lie beside it."""
    if form == "onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("tf2onnx")
        if keras.backend.backend() != "tensorflow":
            pytest.skip("ONNX is written through TensorFlow")
    images = np.random.default_rng(0).integers(0, 256, (40, 24, 20, 1)).astype(np.uint8)
    done = export(classifier, network_file, form, tmp_path / "out", images)
    assert (done.images, done.changed_labels) == (40, 0)
    assert done.largest_difference < 1e-5
    assert Labels.read(tmp_path / "out" / "labels.json") == classifier.labels


def test_a_model_that_averages_views_is_exported_whole(
    classifier: Classifier, network_file: Path, tmp_path: Path
) -> None:
    """All six views are in the file, and a runtime that knows no Keras averages them as Keras does."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("ONNX is written through TensorFlow")
    network = keras.Sequential([keras.Input((24, 20, 1)), *classifier.network.layers[1:]])
    path = tmp_path / "views.keras"
    compose(network, Recipe(test_time="flip_shift"), (24, 20, 1), seed=0).inference.save(path)
    images = np.random.default_rng(0).integers(0, 256, (9, 24, 20, 1)).astype(np.uint8)
    averaging = open_file(path, classifier.labels)
    done = export(averaging, path, "onnx", tmp_path / "out", images)
    assert (done.images, done.changed_labels) == (9, 0)
    assert done.largest_difference < 1e-5
    one_view = raw_probabilities(classifier, images)
    assert np.abs(raw_probabilities(averaging, images) - one_view).max() > 1e-4


@pytest.mark.parametrize("form", ["keras", "onnx"])
def test_a_file_in_the_place_of_the_folder_is_refused(
    classifier: Classifier, network_file: Path, tmp_path: Path, form: str
) -> None:
    (tmp_path / "there").write_text("mine")
    pixels = np.zeros((2, 24, 20, 1), np.uint8)
    for folder in ("there", "there/below"):
        with pytest.raises(UserError, match="cannot be used as a folder"):
            export(classifier, network_file, form, tmp_path / folder, pixels)
    assert (tmp_path / "there").read_text() == "mine"


def test_a_model_is_not_exported_onto_itself(
    classifier: Classifier, network_file: Path, tmp_path: Path
) -> None:
    """Neither by its own path nor through a link."""
    own = tmp_path / "model.keras"
    own.write_bytes(network_file.read_bytes())
    (tmp_path / "link").symlink_to(tmp_path)
    for folder in (tmp_path, tmp_path / "link"):
        with pytest.raises(UserError, match="is the model itself"):
            export(classifier, own, "keras", folder, np.zeros((2, 24, 20, 1), np.uint8))
    assert own.read_bytes() == network_file.read_bytes()


def test_an_unknown_format_is_refused(classifier: Classifier, network_file: Path, tmp_path: Path) -> None:
    """With those there are."""
    with pytest.raises(UserError, match="keras, onnx"):
        export(classifier, network_file, "torch", tmp_path, np.zeros((1, 24, 20, 1), np.uint8))


def test_a_network_in_bfloat16_is_brought_to_float32_with_its_weights() -> None:
    """Its answers stay within what bfloat16 can tell apart."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        images = keras.Input((8, 8, 1), dtype="uint8")
        x = keras.layers.Rescaling(1 / 255, dtype="float32")(images)
        x = keras.layers.Flatten()(keras.layers.Conv2D(4, 3)(x))
        network = keras.Model(images, keras.layers.Dense(3, activation="softmax", dtype="float32")(x))
    finally:
        keras.config.set_dtype_policy("float32")
    same = in_float32(network)
    assert {layer.compute_dtype for layer in same.layers[1:]} == {"float32"}
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1)).astype(np.uint8)
    before = keras.ops.convert_to_numpy(network(pixels))
    after = raw_probabilities(as_classifier(same, None, ""), pixels)
    assert after == pytest.approx(before, abs=0.02)
    assert raw_probabilities(as_classifier(network, None, ""), pixels) == pytest.approx(after, abs=1e-6)
