"""The cache of prepared data: whole entries or none, whatever happens and whoever else is at work.

An entry is made in a folder of its own and then renamed; a second process that made the same one throws its
copy away. `stamps/` remembers which source, with which options, led to which entry, so that a second start
reads neither.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from search.datasets.cache.checksums import CHECKSUMS, damaged_files, write_checksums
from search.datasets.cache.prepared import MANIFEST, Prepared
from spaces.errors import UserError

FORMAT: Final = 8  # of the entries, and of how folders are read; a change makes all older ones unknown
_STAGING: Final = ".making-"
_ABANDONED: Final = 24 * 3600.0  # seconds


def stamp_of(source_stamp: str, options: Mapping[str, Any]) -> str:
    """Return a name for a source's stamp together with the options that shape what is prepared from it."""
    text = json.dumps([FORMAT, source_stamp, options], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def recall(cache: Path, stamp: str, say: Callable[[str], None] = print) -> Prepared | None:
    """Return what the stamp led to before, if it is still there and as it was written."""
    try:
        known = json.loads((cache / "stamps" / f"{stamp}.json").read_text(encoding="utf-8"))
        prepared = Prepared.open(cache / known["entry"])
    except (OSError, ValueError, KeyError, UserError):
        return None
    if damaged := damaged_files(prepared.folder):
        if damaged != [CHECKSUMS]:  # else it is of an earlier version
            say(f"data: {prepared.folder} is damaged ({', '.join(damaged[:3])}), and is made again")
        return None
    return replace(prepared, name=known["name"], source=known["source"], notes=tuple(known["notes"]))


def keep(cache: Path, staged: Prepared, stamp: str) -> Prepared:
    """Move a finished entry out of its staging folder to its final place, and remember the stamp."""
    content_of: tuple[object, ...] = (
        staged.digest,
        staged.split_digest,
        staged.test_digest,
        staged.audit["policy"],
        staged.bits,
    )
    content_of += (staged.audit["group"],) if "group" in staged.audit else ()
    content = "/".join(map(str, (FORMAT, *content_of)))
    final = cache / f"{staged.name}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    write_checksums(staged.folder)
    if final.is_dir() and damaged_files(final):
        with contextlib.suppress(OSError):  # whoever reads it still has it open
            final.rename(staged.folder.parent / "damaged")
    with contextlib.suppress(OSError):  # there: another process, or the same images from another source
        staged.folder.rename(final)
    if not (final / MANIFEST).is_file():
        raise UserError(f"The cache entry {final} is damaged: delete it and start again.")
    known = {"entry": final.name, "name": staged.name, "source": staged.source, "notes": staged.notes}
    (cache / "stamps").mkdir(exist_ok=True)
    fresh = staged.folder.parent / "stamp.json"
    fresh.write_text(json.dumps(known, ensure_ascii=False), encoding="utf-8")
    fresh.replace(cache / "stamps" / f"{stamp}.json")
    return replace(staged, folder=final)


@contextlib.contextmanager
def staging(cache: Path) -> Iterator[Path]:
    """Give a folder to work in, inside the cache, and remove it afterwards with all that is left in it.

    Raises UserError where the cache cannot be written to, before or during the work.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _sweep(cache)
        folder = Path(tempfile.mkdtemp(prefix=_STAGING, dir=cache))
    except OSError as error:
        raise UserError(f"The data cache {cache} cannot be written to: {error.strerror}.") from error
    try:
        yield folder
    except OSError as error:
        raise UserError(
            f"The data could not be prepared in {cache}: {os.strerror(error.errno or 0)}."
        ) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(cache: Path) -> None:
    """Remove what killed processes left behind, once it is a day old."""
    for folder in cache.glob(f"{_STAGING}*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > _ABANDONED:
                shutil.rmtree(folder, ignore_errors=True)
