"""What `candor`'s functions take and return: plain arguments, frames, and one sentence for a mistake."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import candor


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    keras.utils.set_random_seed(3)
    images = keras.Input((12, 10, 1), dtype="uint8")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255, dtype="float32")(images))
    network = keras.Model(images, keras.layers.Dense(3, activation="softmax")(x))
    path = tmp_path_factory.mktemp("model") / "small.keras"
    network.save(path)
    return str(path)


def drawn(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (12, 10), dtype=np.uint8)


def test_a_row_for_each_image_of_any_kind(model_file: str, tmp_path: Path) -> None:
    Image.fromarray(drawn(1)).save(tmp_path / "one.png")
    classes = ["sad", "glad", "calm"]
    table = candor.predict([tmp_path / "one.png", drawn(1), drawn(2)], model=model_file, classes=classes)
    assert list(table.columns) == ["picture", "label", "confidence", *classes]
    assert list(table.picture) == [str(tmp_path / "one.png"), "image 1", "image 2"]
    assert list(table.iloc[0, 1:]) == list(table.iloc[1, 1:])  # the same pixels
    assert np.allclose(table[classes].sum(axis=1), 1)
    assert np.allclose(table.confidence, table[classes].max(axis=1))
    stacked = candor.predict(np.stack([drawn(1), drawn(2)])[..., None], model=model_file, classes=classes)
    assert list(stacked.label) == list(table.label[1:])


def test_a_folder_is_predicted_as_its_images_are(model_file: str, tmp_path: Path) -> None:
    for seed in (1, 2):
        Image.fromarray(drawn(seed)).save(tmp_path / f"{seed}.png")
    folder = candor.predict(tmp_path, model=model_file)
    alone = candor.predict([tmp_path / "1.png", tmp_path / "2.png"], model=model_file)
    pd.testing.assert_frame_equal(folder, alone)


def test_a_broken_image_is_named(model_file: str, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"nothing")
    with pytest.raises(candor.UserError, match=r"broken\.png"):
        candor.predict(tmp_path / "broken.png", model=model_file)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"experiment": "conv_stage"}, 'There is no experiment "conv_stage"; the nearest is "conv_stages"'),
        (
            {"experiment": "conv_stages", "workers": 0},
            "workers must be a whole number, 1 or more. Received: 0",
        ),
        ({"experiment": "conv_stages", "workers": True}, "workers must be a whole number"),
        ({"experiment": "conv_stages", "seeds": 0}, "candor.search: protocol.seeds"),
        (
            {"experiment": "conv_stages", "overrides": {"protocol.epoch": 3}},
            'candor.search: unknown key "protocol.epoch"',
        ),
        ({"experiment": {"name": "x", "question": "?", "space": "no_family"}}, "no_family"),
        ({"experiment": "conv_stages", "storage": "mysql://host/name"}, "--storage takes"),
    ],
)
def test_a_mistake_is_one_sentence_before_anything_is_written(
    arguments: dict[str, object], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(candor.UserError) as caught:
        candor.search(**arguments)  # type: ignore[arg-type]
    assert sentence in str(caught.value)
    assert not list(tmp_path.rglob("*.db"))
    assert caught.value._render_traceback_() == [f"candor: {caught.value}"]  # all that a notebook shows


def test_studies_that_do_not_exist_are_said_to(tmp_path: Path) -> None:
    for read in (candor.load_study, candor.report):
        with pytest.raises(candor.UserError):
            read("conv_stages", workspace=tmp_path)


def test_a_result_shows_its_verdict_and_its_table() -> None:
    result = candor.SearchResult(
        experiment="widths",
        study="0123456789ab",
        finished=False,
        sentences=("wide <16> is selected.",),
        remarks=("Stopped. The same command goes on where this one ended.",),
        report=Path("/tmp/a page/index.html"),
        tracking_uri="sqlite:////nowhere/mlflow.db",
    )
    table = pd.DataFrame({"architecture": ["wide <16>"], "val_accuracy": [0.123456], "run_id": ["0" * 32]})
    result.__dict__["table"] = table  # as it is kept once it was read
    shown = result._repr_html_()
    assert "<p>wide &lt;16&gt; is selected.</p><p>Stopped." in shown
    assert "<td>wide &lt;16&gt;</td>" in shown
    assert "0.1235" in shown
    assert "run_id" not in shown
    assert 'href="file:///tmp/a%20page/index.html"' in shown
    assert str(result).splitlines()[0] == "wide <16> is selected."
    assert repr(result) == "SearchResult('widths', study='0123456789ab', finished=False)"
