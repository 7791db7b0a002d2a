"""What an opened test set says is kept apart by candidate, also where two have one architecture."""

from types import SimpleNamespace
from typing import Any

import pytest

from search import unseal
from search.tracking import names

#: Accuracies by candidate, one for each seed.
FOUND = {"aaaa": (0.5, 0.6), "bbbb": (0.7, 0.8)}


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two confirmed candidates on two seeds that are called alike; what was trained is left out."""
    runs = [
        SimpleNamespace(
            data=SimpleNamespace(
                tags={names.KEY: f"s/confirm/{candidate}/{seed}", names.CANDIDATE: candidate}
                | {names.LABEL: "plain 16-16", names.SEED: str(seed)},
                metrics={"accuracy": accuracy},
            )
        )
        for candidate, accuracies in FOUND.items()
        for seed, accuracy in enumerate(accuracies, start=1)
    ]
    monkeypatch.setattr(unseal, "sealed_test", lambda data: range(10))
    monkeypatch.setattr(unseal, "_openings", lambda writer, digest: {})
    monkeypatch.setattr(unseal, "_kept_runs", lambda writer, study, candidates: runs)
    monkeypatch.setattr(unseal, "_measure", lambda writer, run, test, tags: run.data.metrics)


def test_candidates_that_share_a_label_are_not_averaged(kept: None) -> None:
    told: list[str] = []
    writer: Any = None
    data: Any = SimpleNamespace(test_digest="d")
    opening = unseal.unseal(writer, "s", "v", list(FOUND), data, told.append)
    assert opening == unseal.Opening(1, FOUND)
    assert told == ["opening 1 of this test set: 10 images, 4 models"]
