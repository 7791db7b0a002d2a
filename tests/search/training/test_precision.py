"""Precision follows from the processor's instruction sets."""

from pathlib import Path

import pytest

from search.training.precision import automatic


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        ("processor : 0\nflags\t\t: fpu avx512_bf16 sse2\n", "mixed_bfloat16"),
        ("flags : fpu amx_tile amx_bf16\n", "mixed_bfloat16"),
        ("flags : fpu avx512f avx2\n", "float32"),
        ("Features : fp asimd bf16\n", "float32"),
        ("", "float32"),
    ],
)
def test_mixed_only_where_bfloat16_is_multiplied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listing: str, expected: str
) -> None:
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    (tmp_path / "cpuinfo").write_text(listing)
    assert automatic(tmp_path / "cpuinfo") == expected


def test_float32_where_the_backend_gains_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    (tmp_path / "cpuinfo").write_text("flags : avx512_bf16\n")
    assert automatic(tmp_path / "cpuinfo") == "float32"


def test_float32_where_the_system_does_not_say(tmp_path: Path) -> None:
    assert automatic(tmp_path / "missing") == "float32"
