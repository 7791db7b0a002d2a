"""Studies of Optuna, made by Optuna: repeated parameters are seeds, what did not end is no result."""

from pathlib import Path

import optuna
import pytest

from search.imports.evaluations import Results
from search.imports.find_reader import results_from
from search.imports.request import Request
from spaces.errors import UserError


def _objective(trial: optuna.Trial) -> float:
    width = trial.suggest_categorical("width", [8, 16])
    trial.suggest_float("lr", 1e-4, 1e-1, log=True)
    if trial.number == 3:
        raise ValueError("out of memory")
    for epoch, score in enumerate((0.5, 0.7, 0.6)):
        trial.report(score + width / 100, epoch)
        if trial.number == 4 and epoch == 1:
            raise optuna.TrialPruned
    trial.set_user_attr("train_accuracy", 0.9)
    trial.set_user_attr("history", [1, 2])
    return 0.7 + width / 100 + trial.number // 2 / 1000


@pytest.fixture(params=["database", "journal"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    file = tmp_path / "study.db"
    if request.param == "database":
        storage: object = f"sqlite:///{file}"
        source = f"optuna:sqlite:///{file}"
    else:
        backend = optuna.storages.journal.JournalFileBackend(str(file))
        storage, source = optuna.storages.JournalStorage(backend), f"optuna:{file}"
    study = optuna.create_study(storage=storage, study_name="widths", direction="maximize")
    for width in (8, 16, 8, 16, 16, 8):
        study.enqueue_trial({"width": width, "lr": 0.01})
    study.optimize(_objective, n_trials=6, catch=(ValueError,))
    study.enqueue_trial({"width": 8, "lr": 0.01})
    study.ask()
    return source


def _read(source: str, **more: object) -> Results:
    return results_from(source, Request(**more))[1]


def test_trials_become_evaluations(made: str) -> None:
    results = _read(made, images=1000)
    told = [(one.label, one.seed, one.state, one.where) for one in results.evaluations]
    assert told == [
        ("width 8", 1, "complete", "trial 0"),
        ("width 8", 2, "complete", "trial 2"),
        ("width 8", 3, "complete", "trial 5"),
        ("width 16", 1, "failed", "trial 3"),
        ("width 16", 2, "pruned", "trial 4"),
        ("width 16", 1, "complete", "trial 1"),
    ]
    first = results.evaluations[0]
    assert first.metrics == {"val_accuracy": 0.7 + 8 / 100, "train_accuracy": 0.9}
    assert first.candidate == {"lr": "0.01", "width": "8"}
    assert first.curves["val_accuracy"] == ((1, 0.5 + 0.08), (2, 0.7 + 0.08), (3, 0.6 + 0.08))
    assert "1 trials are not over and are left out: import again later" in results.guess
    assert results.guess[0] == "2 candidates by `width`; 1 to 3 seeds each"
    findings = " ".join(results.findings)
    assert "the value is the best of the reported steps, not the last, in 2 of 4 complete trials" in findings
    assert "seeds are not recorded" in findings
    assert "2 runs did not come to their end" in findings


@pytest.mark.slow
def test_a_value_to_be_minimised_is_no_accuracy(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 's.db'}"
    study = optuna.create_study(storage=address, study_name="s")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    with pytest.raises(UserError, match="no column that can be the validation accuracy"):
        _read(f"optuna:{address}")
    assert _read(f"optuna:{address}", scores={"val_accuracy": "value"}).complete


def test_objectives_are_called_what_the_study_calls_them(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 's.db'}"
    study = optuna.create_study(storage=address, study_name="s", directions=["maximize", "minimize"])
    study.set_metric_names(["val_accuracy", "latency"])
    study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 2.0), n_trials=2)
    results = _read(f"optuna:{address}")
    assert results.guess[-1] == "not used: `latency`"
    assert len(results.complete) == 2


def test_what_is_no_study_gets_one_sentence_and_stays_as_it_is(tmp_path: Path) -> None:
    missing = tmp_path / "none.db"
    with pytest.raises(UserError, match="there is no file"):
        _read(f"optuna:sqlite:///{missing}")
    assert not missing.exists()
    other = tmp_path / "other.db"
    optuna.create_study(storage=f"sqlite:///{other}", study_name="empty")
    with pytest.raises(UserError, match="has no trial that is over"):
        _read(f"optuna:sqlite:///{other}")
    optuna.create_study(storage=f"sqlite:///{other}", study_name="second")
    with pytest.raises(UserError, match="has 2 studies, name one with --study: empty, second"):
        _read(f"optuna:sqlite:///{other}")
    with pytest.raises(UserError, match="has no study third; it has empty, second"):
        _read(f"optuna:sqlite:///{other}", study="third")
    blank = tmp_path / "blank.db"
    blank.write_bytes(b"")
    with pytest.raises(UserError, match="is no storage of Optuna"):
        _read(f"optuna:sqlite:///{blank}")
    assert blank.read_bytes() == b""
    text = tmp_path / "notes.db"
    text.write_text("hello")
    with pytest.raises(UserError, match=r"damaged|no storage"):
        _read(f"optuna:{text}")
