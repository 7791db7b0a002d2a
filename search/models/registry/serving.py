"""What a registered model is when MLflow serves it: base64 image files or arrays in, labels out.

This file is stored with every model version (MLflow's "models from code": nothing is pickled) and runs where
Candor is not installed, so it imports Keras, numpy, Pillow and MLflow alone. A picture goes through the
same steps as in `search.datasets.images.image_file`; a test compares the two.
"""

import base64
import binascii
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.pyfunc import PythonModel
from PIL import ExifTags, Image

_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "PPM")
_MAX_PIXELS = 50_000_000
#: What images that are none make Pillow and numpy raise.
_MALFORMED = (
    OSError, ValueError, SyntaxError, EOFError, TypeError, OverflowError, RecursionError, MemoryError,
    Image.DecompressionBombError,
)  # fmt: skip
_DARKEST = 32  # a brightest pixel below leaves it unclear which number is white
_DEEP_COLOURS = re.compile(rb"\x89PNG\r\n\x1a\n.{16}\x10[\x02\x04\x06]", re.DOTALL)  # 16 bits a channel
_BATCH = 256  # images predicted at once, up to 96x96; of larger ones, as many as have the same pixels
#: EXIF orientation -> what brings it upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Refused(MlflowException):  # type: ignore[misc]
    """Answered as HTTP 400 with one sentence, where MLflow would repeat the whole request."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, error_code=BAD_REQUEST)
        self.sentence = sentence

    def serialize_as_json(self) -> str:
        """The body of the answer."""
        return json.dumps({"error_code": "BAD_REQUEST", "message": self.sentence})


class ImageClassifier(PythonModel):  # type: ignore[misc]
    """Loads model.keras safely; answers a label, its confidence and all probabilities for each image."""

    def load_context(self, context: Any) -> None:
        """Open the artifacts that MLflow has fetched."""
        labels = json.loads(Path(context.artifacts["labels"]).read_text(encoding="utf-8"))
        os.environ.setdefault("KERAS_BACKEND", labels["backend"])
        import keras

        network = keras.saving.load_model(context.artifacts["model"], safe_mode=True, compile=False)
        self._network = _in_float32(network)
        self._classes = labels["class_names"]
        self._temperature = labels["temperature"]
        #: Bits that training images of 16 bits a channel used; None: there were none.
        self._bits = labels.get("bits")

    def predict(
        self, context: Any, model_input: list[Any], params: dict[str, Any] | None = None
    ) -> list[Any]:
        """One answer for each image: a base64 string of an image file, or numbers from 0 to 255."""
        if not model_input:
            raise Refused("inputs is empty: send a list of images")
        images = np.stack([self._pixels(number, image) for number, image in enumerate(model_input)])
        rows = self._probabilities(images).tolist()
        return [self._answer(row) for row in rows]

    def _answer(self, row: list[float]) -> dict[str, Any]:
        best = max(range(len(row)), key=row.__getitem__)
        return {
            "label": self._classes[best],
            "confidence": row[best],
            "probabilities": dict(zip(self._classes, row, strict=True)),
        }

    def _probabilities(self, images: np.ndarray) -> np.ndarray:
        """Temperature-scaled, (images, classes)."""
        size = _batch(*images.shape[1:3])
        outputs = [
            np.asarray(self._network.predict_on_batch(images[at : at + size]))
            for at in range(0, len(images), size)
        ]
        logs = np.log(np.clip(np.concatenate(outputs), 1e-12, 1.0)).astype(np.float64) / self._temperature
        raised = np.exp(logs - logs.max(axis=1, keepdims=True))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))

    def _pixels(self, number: int, image: Any) -> np.ndarray:
        """One image as uint8 of the network's shape, or Refused with its place in the request."""
        height, width, channels = self._network.input_shape[1:]
        try:
            picture = _from_file(image, self._bits) if isinstance(image, str) else _from_numbers(image)
            return _shaped(picture, (width, height), channels, self._bits)
        except _MALFORMED as error:
            raise Refused(
                f"image {number} of the request is none: {_reason(error)[:200]}; send the base64 text of a "
                f"{', '.join(_FORMATS)} file, or its pixels, height x width (x 1 or 3), from 0 to 255"
            ) from error


def _in_float32(network: Any) -> Any:
    """The same network and weights in float32, as `search.models.keras_file` computes it."""
    import keras

    described = json.dumps(keras.saving.serialize_keras_object(network))
    plain = re.sub(r'"(mixed_)?b?float16"', '"float32"', described)
    if plain == described:
        return network
    same = keras.saving.deserialize_keras_object(json.loads(plain), safe_mode=True)
    same.set_weights([weights.astype("float32") for weights in network.get_weights()])
    return same


def _reason(error: Exception) -> str:
    """What went wrong, without the address in memory that Pillow names."""
    return re.sub(r" ?<[^<>]* at 0x[0-9a-f]+>", "", str(error))


def _batch(height: int, width: int) -> int:
    return max(1, min(_BATCH, _BATCH * 96 * 96 // (height * width)))


def _from_file(text: str, bits: int | None = 16) -> Image.Image:
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"the text is not base64 ({error})") from error
    image = Image.open(io.BytesIO(content), formats=_FORMATS)
    if image.width * image.height > _MAX_PIXELS:
        raise ValueError(f"{image.width} x {image.height} pixels are too many")
    shown = _upright(image)
    if _DEEP_COLOURS.match(content):  # of which Pillow keeps the upper eight bits
        full = bits == 16 or (bits is None and np.asarray(shown).max() >= 64)
        if not full:
            raise ValueError("it has colours of 16 bits a channel and uses fewer: save it with 8 bits")
    return shown


def _upright(image: Image.Image) -> Image.Image:
    """As its camera was held. Pillow's own `exif_transpose` fails where any tag of the EXIF is malformed."""
    image.load()  # a PNG may say it at its end
    try:
        held = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # whatever malformed EXIF leads Pillow to; the picture may be good
        return image
    return image.transpose(_TURNS[held]) if held in _TURNS else image


def _from_numbers(image: Any) -> Image.Image:
    try:
        pixels = np.asarray(image, dtype=np.float64)
    except (TypeError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        raise ValueError("its rows are no numbers of equal length from 0 to 255") from error
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3) or not pixels.size:
        raise ValueError(f"an array of shape {pixels.shape} is no picture")
    if not np.isfinite(pixels).all() or pixels.min() < 0 or pixels.max() > 255:
        raise ValueError("its numbers leave the range from 0 to 255")
    return Image.fromarray(pixels.round().astype(np.uint8))


def _depth(brightest: int) -> int:
    """The bits that an image of 16 bits a pixel uses, as `search.datasets.images.pixel_range` has it."""
    if 0 < brightest < _DARKEST:
        raise ValueError(f"it has 16 bits a pixel, but no number above {brightest}: save it with 8 bits")
    return next(bits for bits in (8, 10, 12, 14, 16) if brightest < 2**bits)


def _shaped(image: Image.Image, size: tuple[int, int], channels: int, bits: int | None = 16) -> np.ndarray:
    """Converted and resized as the training images were: uint8 (height, width, channels)."""
    wanted = "L" if channels == 1 else "RGB"
    if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow would clip at 255
        numbers = np.asarray(image).astype(np.int64)
        shift = (_depth(int(numbers.max())) if bits is None else bits) - 8
        image = Image.fromarray((numbers >> shift).clip(0, 255).astype(np.uint8))
    if image.mode.endswith("A") or "transparency" in image.info:  # or black strokes become black on black
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode != wanted:
        image = image.convert(wanted)
    if image.size != size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(size[1], size[0], channels)


set_model(ImageClassifier())
