"""Files that are whole or absent, whenever the power goes."""

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write text so that a reader finds all of it or none of it, also after a power cut."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
