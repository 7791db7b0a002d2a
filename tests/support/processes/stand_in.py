"""A child body that speaks the trial protocol and trains nothing: for what is proved about execution alone.

It does what `search.training.evaluate` does at the same moments (checkpoint after each epoch, artifacts,
result on disk before it is told, the same answers obeyed), so that everything around it is real. How it
behaves comes from the task's fixed values, so from a cell of the grid:

    epochs, seconds   how many, and how long each takes
    megabytes         allocated before the first epoch
    misbehave         "hang", "raise", "diverge", "die", "exhaust" (memory), "full" or "broken" (the disk),
                      "signal" (its `number`, to itself), "stop_server" (and hang)
    until             a file: it misbehaves only while this does not exist, and makes it first
    draws             so many numbers are drawn through the pipe
    devices           a file: the devices that it may see are added as a line

Scores are a function of the cell, the draws and the seed: whatever happened on the way, the final table is
the same.
"""

import dataclasses
import errno
import hashlib
import json
import os
import resource
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from search.execution.atomic_files import settle, write_whole
from search.execution.failure_kinds import failure_kind, machine_failure
from search.execution.messages import (
    RESULT,
    Built,
    Closing,
    Decision,
    Epoch,
    EvaluationResult,
    Failed,
    Suggest,
    Task,
    ask,
    receive,
    send,
)
from search.tracking import names
from search.training.checkpoint import State, load, save


def run(pipe: Connection) -> None:
    """Serve one task."""
    try:
        _evaluate(pipe, receive(pipe))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception as error:
        message = machine_failure(error) or f"{type(error).__name__}: {error}"
        send(pipe, Failed(failure_kind(error), message))


_OUTCOMES = {Decision.CONTINUE: "complete", Decision.PRUNE: "pruned", Decision.STOP: "stopped"}


def _evaluate(pipe: Connection, task: Task) -> None:
    folder, behaviour = Path(task.folder), dict(task.fix)
    os.environ.update(task.environment)
    if devices := behaviour.get("devices"):
        with Path(devices).open("a") as file:
            file.write(os.environ.get("CUDA_VISIBLE_DEVICES", "all") + "\n")
    draws = [_draw(pipe, number) for number in range(int(behaviour.get("draws", 0)))]
    if ask(pipe, _built(task, [*draws, behaviour.get("cell", 0)])) != Decision.CONTINUE:
        return
    finished = folder / RESULT
    if finished.exists():
        send(pipe, EvaluationResult(**json.loads(finished.read_text())))
        return
    result = _train(pipe, task, behaviour, draws)
    if result.state != "stopped":
        _write_artifacts(folder / "artifacts", result)
        if "accuracy" in behaviour:
            np.savez(folder / "artifacts" / names.PREDICTIONS_NPZ, **_predictions(task, behaviour))
        write_whole(finished, json.dumps(dataclasses.asdict(result)))
    send(pipe, result)


def _draw(pipe: Connection, number: int) -> float:
    domain = {"kind": "real", "low": 0.0, "high": 1.0, "step": None, "log": False, "default": 0.5}
    return float(ask(pipe, Suggest(f"x{number}", domain)))


def _built(task: Task, values: list[Any]) -> Built:
    text = json.dumps([values, task.candidate], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Built("plain_cnn", "", f"stand-in {values[-1]}", {"x": values}, {}, {}, digest, digest, 1000, 2000)


def _train(pipe: Connection, task: Task, behaviour: dict[str, Any], draws: list[float]) -> EvaluationResult:
    checkpoint = Path(task.folder) / "checkpoint"
    saved = load(checkpoint)
    history = list(saved.record["history"]) if saved else []
    ballast = np.ones(int(behaviour.get("megabytes", 0)) * 2**20, np.uint8)
    for epoch, metrics in enumerate(history, start=1):
        ask(pipe, Epoch(epoch, metrics))
    total = int(behaviour.get("epochs", 2))
    outcome = "complete"
    while len(history) < total and outcome == "complete":
        started = time.perf_counter()
        time.sleep(float(behaviour.get("seconds", 0.05)))
        _misbehave(pipe, behaviour)
        history.append(_metrics(task, draws, len(history) + 1, time.perf_counter() - started))
        answer = ask(pipe, Epoch(len(history), history[-1]))
        outcome = _OUTCOMES[Decision(answer)]
        save(checkpoint, State({}, {"history": history}))
    send(pipe, Closing())
    score = history[-1]["monitor_accuracy"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    metrics = {
        "val_accuracy": score,
        names.EPOCHS: float(len(history)),
        names.PEAK_RSS_MIB: peak + ballast.size * 0,
    }
    return EvaluationResult(outcome, score=score, metrics=metrics)


def _metrics(task: Task, draws: list[float], epoch: int, seconds: float) -> dict[str, float]:
    text = json.dumps([dict(task.fix), *draws, task.candidate, task.seed, epoch], sort_keys=True)
    score = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) / 2**32
    return dict.fromkeys(names.EPOCH_METRICS, score) | {names.EPOCH_SECONDS: seconds}


def _predictions(task: Task, behaviour: dict[str, Any]) -> dict[str, Any]:
    """What a network of this accuracy says about as many images; hard images are hard for all networks."""
    images, own = (
        int(behaviour.get("images", 400)),
        np.random.default_rng([int(behaviour["cell"]), task.seed]),
    )
    shared = np.random.default_rng(0).normal(size=images)
    labels = np.arange(images) % 2
    accuracy = float(behaviour["accuracy"]) + float(behaviour.get("spread", 0.0)) * own.normal()
    ease = NormalDist().inv_cdf(min(max(accuracy, 0.01), 0.99))
    right = 0.8 * shared + 0.6 * own.normal(size=images) < ease
    said = np.where(right, labels, 1 - labels)
    probabilities = np.where(np.arange(2) == said[:, None], 0.9, 0.1).astype("float32")
    return {
        "ids": np.array([f"{n:05d}" for n in range(images)]),
        "labels": labels,
        "probabilities": probabilities,
    }


def _misbehave(pipe: Connection, behaviour: dict[str, Any]) -> None:
    if until := behaviour.get("until"):
        if Path(until).exists():
            return
        Path(until).touch()
    match behaviour.get("misbehave"):
        case "hang":
            time.sleep(3600)
        case "raise":
            raise ValueError("as the cell asked")
        case "diverge":
            send(pipe, Failed("diverged", "the loss is not finite after epoch 1"))
            time.sleep(3600)
        case "signal":
            os.kill(os.getpid(), int(behaviour["number"]))
        case "stop_server":
            os.kill(os.getppid(), signal.SIGSTOP)
            time.sleep(3600)
        case "die":
            os._exit(7)
        case "exhaust":
            raise MemoryError("as the cell asked")
        case "broken":
            raise OSError(errno.EIO, os.strerror(errno.EIO), "checkpoint")
        case "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _write_artifacts(folder: Path, result: EvaluationResult) -> None:
    folder.mkdir(exist_ok=True)
    (folder / names.HISTORY_CSV).write_text(f"score\n{result.score!r}\n")
    settle(folder, files=True)
