"""What a result may depend on beside its candidate, its seed and its images."""

import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = (
    "candor",
    "keras",
    "keras-tuner",
    "tensorflow",
    "jax",
    "torch",
    "optuna",
    "mlflow",
    "numpy",
    "pandas",
)


def versions() -> dict[str, str]:
    """The versions that a result may depend on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def conditions(backend: str, precision: str, threads: int) -> dict[str, Any]:
    """Under what an evaluation is trained: with all of it the same, the bits are to be the same.

    Args:
        backend: Keras' backend.
        precision: Keras' dtype policy.
        threads: Of the process that trains.

    Returns:
        JSON-ready values by name; `versions` by package.
    """
    return {
        "backend": backend,
        "precision": precision,
        "threads": threads,
        "processor": processor(),
        "gpu": gpu(),
        "versions": versions(),
    }


def differing(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is not as it was: "keras 3.14.0, now 3.15.1", in the order of `then`.

    Args:
        then: What `conditions` gave when the evaluation was recorded.
        now: What it gives here.

    Returns:
        A phrase for each difference; none where nothing differs.
    """
    flat_then, flat_now = _flat(then), _flat(now)
    keys = dict.fromkeys([*flat_then, *flat_now])
    return [
        f"{key} {flat_then.get(key) or 'none'}, now {flat_now.get(key) or 'none'}"
        for key in keys
        if flat_then.get(key) != flat_now.get(key)
    ]


def processor() -> str:
    """The processor's name and the widest arithmetic that it has: libraries choose their kernels by it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(_field(line) for line in lines if ":" in line)
    flags = set(fields.get("flags", "").split())
    widest = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    return " ".join([fields.get("model name", platform.machine()), *widest])


def gpu() -> str:
    """The GPU's name, '' without one. Asks no library."""
    for file in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        fields = dict(_field(line) for line in file.read_text().splitlines() if ":" in line)
        return fields.get("Model", "")
    return ""


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()


def _flat(conditions: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in conditions.items() if k != "versions"} | dict(conditions.get("versions") or {})
