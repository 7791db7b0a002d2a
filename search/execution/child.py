"""One evaluation in a process of its own: draw, build, train, measure, write, answer.

Follow one image here: memory map -> augmentation and network -> probabilities -> measures.
The fork server imports this module, and Keras with it, once; no operation runs before the fork.
"""

import dataclasses
import json
import os
import resource
import time
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

import keras
import numpy as np

from search.datasets.prepare import Part, Prepared
from search.datasets.splits import carve
from search.execution.files import disk_is_full, settle, write_whole
from search.execution.protocol import (
    REPEATED,
    RESULT,
    Answer,
    Built,
    Epoch,
    Failed,
    Infeasible,
    Result,
    Suggest,
    Task,
    Value,
    ask,
    receive,
    send,
)
from search.models.temperature import fit_temperature
from search.tracking import names
from search.tracking.conditions import conditions
from search.training import measures
from search.training.fit import Decision, Diverged, Trained, train
from search.training.gallery import telling, write_gallery
from search.training.recipe import Recipe
from spaces.domains import Domain, domain_from_dict
from spaces.errors import UserError
from spaces.family import InfeasibleArchitecture, fingerprint
from spaces.hyperparameters import DrawnHyperParameters
from spaces.outline import outline
from spaces.space import Realised, Space

_DECISIONS = {Answer.GO: Decision.CONTINUE, Answer.PRUNE: Decision.PRUNE, Answer.STOP: Decision.STOP}


def run(pipe: Connection) -> None:
    """Serve one task from the pipe; whatever goes wrong is told to the coordinator."""
    try:
        _evaluate(pipe, receive(pipe))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the coordinator has hung up: nobody is left to tell
    except Diverged as error:
        send(pipe, Failed("diverged", str(error), epoch=error.epoch))
    except UserError as error:
        send(pipe, Failed("user", str(error)))
    except MemoryError as error:
        send(pipe, Failed("memory", f"out of memory: {error}"))
    except Exception as error:
        kind = "disk" if disk_is_full(error) else "error"
        send(pipe, Failed(kind, f"{type(error).__name__}: {error}", traceback.format_exc()))


def _evaluate(pipe: Connection, task: Task) -> None:
    folder = Path(task.folder)
    finished = folder / RESULT
    os.environ.update(task.environment)
    _use(task.precision, task.threads)
    keras.utils.set_random_seed(task.seed)
    dataset = Prepared.open(Path(task.dataset))
    try:
        realised, recipe = _candidate(pipe, task, dataset)
    except InfeasibleArchitecture as error:
        send(pipe, _infeasible(error))
        return
    built = _built(realised, recipe)
    if ask(pipe, built) != Answer.GO or task.describe_only:
        return
    if finished.exists():  # trained to the end before, told to nobody
        send(pipe, Result(**json.loads(finished.read_text())))
        return
    _write_record(folder / "artifacts", task, dataset, built)
    result = _train_and_measure(pipe, task, dataset, realised, recipe)
    if result.outcome != "stopped":
        settle(folder / "artifacts", files=True)
        write_whole(finished, json.dumps(dataclasses.asdict(result)))
    send(pipe, result)


def _use(precision: str, threads: int) -> None:
    """Fix threads and precision. TensorFlow reads these variables at its first operation."""
    for variable in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"):
        os.environ[variable] = str(threads)
    os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    keras.config.set_dtype_policy(precision)


def _candidate(pipe: Connection, task: Task, dataset: Prepared) -> tuple[Realised, Recipe]:
    """The candidate of this task: fixed by the plan, or drawn through the pipe."""
    space = Space.parse(task.space)
    classes = len(dataset.class_names)
    if task.candidate is not None:
        realised = space.rebuild(
            task.candidate["family"], task.candidate["architecture"], dataset.image_shape, classes
        )
        return realised, Recipe.from_dict(task.candidate["recipe"])

    def suggest(name: str, domain: Domain) -> Value:
        value: Value = ask(pipe, Suggest(name, domain.to_dict()))
        return value

    recipe = dict(task.recipe)
    for field, domain in task.recipe_domains.items():
        recipe[field] = suggest(names.RECIPE + field, domain_from_dict(domain))
    narrowed = {name: domain_from_dict(domain) for name, domain in task.domains.items()}
    realised = space.realise(
        DrawnHyperParameters(suggest, fixed=task.fix, domains=narrowed),
        dataset.image_shape,
        classes,
        max_parameters=task.max_parameters,
        max_macs=task.max_macs,
    )
    return realised, Recipe.from_dict(recipe)


def _infeasible(error: InfeasibleArchitecture) -> Infeasible:
    return Infeasible(str(error), error.violation, error.parameters, error.macs)


def _built(realised: Realised, recipe: Recipe) -> Built:
    architecture = {"family": realised.family, **realised.architecture}
    return Built(
        family=realised.family,
        variant=realised.variant,
        label=realised.label,
        architecture=realised.architecture,
        facts=realised.facts,
        recipe=recipe.to_dict(),
        architecture_fingerprint=fingerprint(architecture),
        candidate_fingerprint=fingerprint({"architecture": architecture, "recipe": recipe.to_dict()}),
        parameters=realised.parameters,
        macs=realised.macs,
    )


def _write_record(artifacts: Path, task: Task, dataset: Prepared, built: Built) -> None:
    """What it takes to train this evaluation again, before it is trained: a diverged one has it too."""
    record = {name: getattr(task, name) for name in REPEATED}
    record |= {
        "candidate": built.candidate(),
        "data": {"digest": dataset.digest, "split_digest": dataset.split_digest},
        "conditions": conditions(keras.backend.backend(), task.precision, task.threads),
    }
    artifacts.mkdir(parents=True, exist_ok=True)
    (artifacts / names.EVALUATION_JSON).write_text(json.dumps(record, indent=1, sort_keys=True))


def _train_and_measure(
    pipe: Connection, task: Task, dataset: Prepared, realised: Realised, recipe: Recipe
) -> Result:
    started = time.perf_counter()
    whole = dataset.train()
    rest, carved = carve(whole.labels, whole.groups, task.monitor_fraction, task.monitor_seed, whole.ids)
    monitor = _take(whole, carved)
    training = whole if task.rates else _take(whole, rest)

    def report(epoch: int, metrics: Mapping[str, float]) -> Decision:
        return _DECISIONS[ask(pipe, Epoch(epoch, dict(metrics)))]

    trained = train(
        realised.model,
        recipe,
        (training.images, training.labels),
        (monitor.images, monitor.labels),
        num_classes=len(dataset.class_names),
        epochs=task.epochs,
        patience=task.patience,
        objective=task.objective,
        seed=task.seed,
        rates=tuple(task.rates or ()),
        checkpoint=Path(task.folder) / "checkpoint",
        report=report,
    )
    metrics = {
        names.BEST_EPOCH: float(trained.best_epoch),
        names.EPOCHS: float(trained.epochs),
        names.PARAMETERS: float(realised.parameters),
        names.MACS: float(realised.macs),
        names.IMAGES_PER_SECOND: trained.images_per_second,
    }
    if trained.outcome != "stopped":
        artifacts = Path(task.folder) / "artifacts"
        _write_history(artifacts / names.HISTORY_CSV, trained)
        if task.validate:
            (artifacts / names.LAYERS_JSON).write_text(json.dumps(outline(realised.model)))
        if trained.outcome == "complete":
            metrics |= _measure(task, dataset, training, monitor, trained, artifacts)
    metrics[names.PEAK_RSS_MIB] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    metrics[names.SECONDS] = time.perf_counter() - started
    return Result(trained.outcome, _score(trained, task.objective), metrics)


def _take(part: Part, index: np.ndarray) -> Part:
    return Part(
        images=part.images[index],
        labels=part.labels[index],
        ids=part.ids[index],
        groups=part.groups[index],
        has_twin=part.has_twin[index],
    )


def _score(trained: Trained, objective: str) -> float:
    """The objective's monitor twin at the kept epoch; NaN before the first epoch is over."""
    kept = next((row for row in trained.history if row["epoch"] == trained.best_epoch), {})
    return float(kept.get({"val_accuracy": "monitor_accuracy"}.get(objective, f"monitor_{objective}"), "nan"))


def _measure(
    task: Task, dataset: Prepared, training: Part, monitor: Part, trained: Trained, artifacts: Path
) -> dict[str, float]:
    """Final metrics with the kept weights, in inference mode; predictions of the ranking split on disk."""
    on_monitor = trained.predict(monitor.images)
    metrics = _named(names.MONITOR_FINAL, measures.scores(monitor.labels, on_monitor))
    ranking, probabilities = monitor, on_monitor
    if task.validate:
        ranking = dataset.validation()
        probabilities = trained.predict(ranking.images)
        metrics |= _named(names.VAL, measures.scores(ranking.labels, probabilities))
    subset = measures.stratified_subset(training.labels, len(ranking.labels), seed=0)
    metrics |= measures.final_measures(
        ranking.labels,
        probabilities,
        training.labels[subset],
        trained.predict(training.images[subset]),
        trained.history,
        trained.best_epoch,
    )
    metrics[names.TEMPERATURE] = fit_temperature(probabilities, ranking.labels)
    np.savez_compressed(
        artifacts / names.PREDICTIONS_NPZ,
        ids=ranking.ids,
        labels=ranking.labels,
        probabilities=probabilities.astype(np.float32),
        groups=ranking.groups,
        has_twin=ranking.has_twin,
    )
    if task.validate:
        chosen = telling(ranking.labels, probabilities)
        write_gallery(artifacts / names.GALLERY_PNG, ranking.images[chosen], ranking.ids[chosen])
    if task.keep_model:
        trained.inference_model.save(artifacts / names.MODEL_KERAS)
    return metrics


def _named(prefix: str, scores: Mapping[str, float]) -> dict[str, float]:
    return {prefix + name: scores[name] for name in ("accuracy", "loss", "macro_f1")}


def _write_history(path: Path, trained: Trained) -> None:
    columns = ("epoch", *names.EPOCH_METRICS)
    lines = [",".join(columns)]
    lines += [",".join(repr(row[column]) for column in columns) for row in trained.history]
    path.write_text("\n".join(lines) + "\n")
