"""How long data take: to read once, to start again, to search for duplicates; and which duplicates are found.

    python -m benchmarks.data FER2013.ZIP      the real images (any source that `candor search` takes)
    python -m benchmarks.data                  the synthetic set alone

Wall and processor seconds are both shown, since a busy machine stretches the first. Peak memory is that of a
process of its own, over the memory of Python with numpy.
"""

import io
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from search.datasets.duplicates.groups import exact_pairs, grouped
from search.datasets.duplicates.near import near_pairs
from search.datasets.find_reader import reader_for
from search.datasets.images.decode import decode
from search.datasets.synthetic.dataset import draw

Picture = NDArray[np.uint8]
Result = TypeVar("Result")
PLANTED = 1000
FALSE = 10_000
PEAK = "print([int(line.split()[1]) // 1024 for line in open('/proc/self/status') if 'VmHWM' in line][0])"
START = """
import sys, time, numpy
from pathlib import Path
began = time.perf_counter()
from search.datasets.prepare import prepare
imported = time.perf_counter()
data = prepare(sys.argv[1], Path(sys.argv[2]), say=lambda text: None)
parts = data.train(), data.validation()
opened = time.perf_counter()
print(imported - began, opened - imported, sum(len(part.ids) for part in parts))
"""


def main() -> None:
    """Print the tables."""
    conditions()
    source = sys.argv[1] if len(sys.argv) > 1 else "synthetic:train=8000,validation=1000,test=1000"
    with tempfile.TemporaryDirectory() as folder:
        reading(source, Path(folder))
    planted()


def conditions() -> None:
    """Print what the numbers depend on."""
    models = [line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    print(f"Processor   {models[0] if models else platform.processor()}, {os.cpu_count()} cores")
    print(f"Load before {os.getloadavg()[0]:.1f} (other programs stretch wall seconds)")
    print(
        f"Versions    Python {platform.python_version()}, numpy {np.__version__}, Pillow {PIL.__version__}\n"
    )


def reading(source: str, folder: Path) -> None:
    """Time the steps from a source to its duplicates, then a first and a second start."""
    print(f"{'step':<44}{'wall s':>9}{'cpu s':>9}  result")
    catalogue = timed(
        "list the source", lambda: reader_for(source).read(source), lambda c: f"{len(c.ids):,} images"
    )
    rows = list(range(len(catalogue.ids)))
    images = timed(
        "decode all of it",
        lambda: decode(catalogue, rows, folder / "all.npy", None, None),
        lambda found: "x".join(map(str, found.pixels.shape)),
    ).pixels
    digests = [image.tobytes() for image in images]
    same = timed("exact duplicates", lambda: exact_pairs(digests), lambda pairs: f"{len(pairs):,} pairs")
    first = np.unique(grouped(len(images), same), return_index=True)[1]
    unique = images[first]
    timed(
        "near duplicates",
        lambda: near_pairs(unique),
        lambda pairs: f"{len(pairs):,} pairs, {int(pairs.mirrored.sum()):,} of them mirrored",
    )
    for name in ("first start, everything, own process", "second start, own process"):
        timed(name, lambda: start(source, folder / "cache"), str)


def start(source: str, cache: Path) -> str:
    """Prepare a source in a process of its own; say how long that took inside, and its peak memory."""
    bare = int(_python("import numpy;" + PEAK))
    told = _python(START + PEAK, source, str(cache)).split()
    return (
        f"import {float(told[0]):.2f} s, prepare and open {float(told[1]):.3f} s, {int(told[2]):,} images, "
        f"{int(told[3]) - bare} MB over bare"
    )


def planted() -> None:
    """Show the share of planted near duplicates that is found, and the false pairs among different faces."""
    faces = draw(train=FALSE, validation=1, test=1, seed=1)["train"][0][..., 0]
    originals = faces[:PLANTED]
    print(f"\n{'planted in synthetic faces':<44}{'found':>9}{'wrong':>9}")
    both = [image.tobytes() for image in (*originals, *originals)]
    print(f"{'equal pixels':<44}{len(exact_pairs(both)) / PLANTED:>9.1%}{0:>9}")
    for name, change in CHANGES.items():
        copies = np.stack([change(image) for image in originals])
        pairs = near_pairs(originals[..., None], copies[..., None])
        right = pairs.one == pairs.other  # a face that is its own mirror image is found twice
        print(f"{name:<44}{len(set(pairs.one[right])) / PLANTED:>9.1%}{int((~right).sum()):>9}")
    false = len(near_pairs(faces[..., None]))
    print(f"\nFalse pairs among {FALSE:,} different faces: {false}")


def timed(name: str, work: Callable[[], Result], say: Callable[[Result], str]) -> Result:
    """Do the work and print a line about it."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{name:<44}{wall:>9.2f}{cpu:>9.2f}  {say(result)}", flush=True)
    return result


def saved(image: Picture, quality: int) -> Picture:
    """Return the image after a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def resized(image: Picture, side: int) -> Picture:
    """Return the image after a size of `side` and back."""
    small = Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(small.resize(image.shape[::-1], Image.Resampling.BILINEAR))


def cropped(image: Picture, pixels: int) -> Picture:
    """Return the image without so many pixels on each side, resized back."""
    box = (pixels, pixels, image.shape[1] - pixels, image.shape[0] - pixels)
    return np.asarray(Image.fromarray(image).resize(image.shape[::-1], Image.Resampling.BILINEAR, box=box))


def shaded(image: Picture, factor: float, offset: float = 0) -> Picture:
    """Return the image with another brightness and contrast."""
    return np.clip(image * factor + offset, 0, 255).astype(np.uint8)


CHANGES: dict[str, Callable[[Picture], Picture]] = {
    "JPEG quality 75": lambda image: saved(image, 75),
    "JPEG quality 50": lambda image: saved(image, 50),
    "resized to 64 and back": lambda image: resized(image, 64),
    "brightness +10%": lambda image: shaded(image, 1.1),
    "brightness -10%": lambda image: shaded(image, 0.9),
    "contrast -20%": lambda image: shaded(image, 0.8, 25),
    "mirrored": lambda image: image[:, ::-1],
    "mirrored, JPEG quality 75": lambda image: saved(np.ascontiguousarray(image[:, ::-1]), 75),
    "cropped by 1 pixel on each side": lambda image: cropped(image, 1),
    "cropped by 2 pixels on each side": lambda image: cropped(image, 2),
    "cropped by 2 pixels, JPEG quality 75": lambda image: saved(cropped(image, 2), 75),
    "resized to 24 and back (detail is lost)": lambda image: resized(image, 24),
}


def _python(program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


if __name__ == "__main__":
    main()
