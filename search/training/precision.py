"""Which numbers this machine computes fastest with, read from its processor. Imports no Keras."""

import os
from pathlib import Path
from typing import Final

#: Instructions that multiply bfloat16 without a detour; without them mixed precision is slower.
_BFLOAT16_FLAGS: Final = frozenset({"avx512_bf16", "amx_bf16"})
_PROCESSOR: Final = Path("/proc/cpuinfo")


def automatic(processor: Path = _PROCESSOR) -> str:
    """Choose the Keras dtype policy: "mixed_bfloat16" where it is faster, else "float32".

    It is faster with TensorFlow on a processor that multiplies bfloat16; JAX gains nothing there
    (measured).

    Args:
        processor: The file in which the system describes its processor.
    """
    tensorflow = os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow"
    return "mixed_bfloat16" if tensorflow and _BFLOAT16_FLAGS & _flags(processor) else "float32"


def _flags(processor: Path) -> frozenset[str]:
    """The first processor's instruction sets; none where the system does not list them so."""
    try:
        lines = processor.read_text().splitlines()
    except OSError:
        return frozenset()
    line = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(line.partition(":")[2].split())
