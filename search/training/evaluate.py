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
from collections.abc import Iterable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import keras
import numpy as np

from search.datasets.prepare import Prepared
from search.execution import messages
from search.execution.atomic_files import settle, write_whole
from search.execution.failure_kinds import failure_kind, machine_failure
from search.execution.limits import too_little_room
from search.execution.messages import (
    REPEATED,
    RESULT,
    Built,
    Closing,
    Decision,
    Epoch,
    EvaluationResult,
    Failed,
    Infeasible,
    Suggest,
    Task,
    Value,
    ask,
    receive,
    send,
)
from search.safety.text import record
from search.tracking import names
from search.tracking.environment import conditions
from search.training.fit import (
    Diverged,
    TrainingResult,
    train,
)
from search.training.measures.worst_images import write_gallery
from search.training.recipe import TEST_TIME_VIEWS, Recipe
from search.training.replicates import (
    Replicate,
    ReplicateResult,
    evaluate_replicate,
    final_metrics,
    plan_replicates,
    predictions,
    worst_images_of,
)
from search.training.training_callback import OUTCOMES
from spaces.domains import Domain, domain_from_dict
from spaces.errors import HypermodelError, InfeasibleArchitecture, UserError
from spaces.family import fingerprint
from spaces.keras_tuner.hyperparameters import DrawnHyperParameters
from spaces.outline import outline
from spaces.saving import require_saveable
from spaces.space import BuiltArchitecture, Space
from spaces.user_code import described


def run(pipe: Connection) -> None:
    """Serve one task from the pipe; whatever goes wrong is told to the coordinator.

    Args:
        pipe: The child's end of the pipe.
    """
    try:
        _evaluate(pipe, receive(pipe))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the coordinator has hung up: nobody is left to tell
    except Diverged as error:
        send(pipe, Failed("diverged", record(str(error))))
    except UserError as error:
        send(pipe, Failed("user", record(str(error))))
    except ImportError as error:  # of this machine, whatever the candidate is
        reason = record(f"{type(error).__name__}: {error}", 2_000)
        send(pipe, Failed("machine", reason, record(traceback.format_exc())))
    except HypermodelError as error:
        send(pipe, Failed("hypermodel", record(str(error), 2_000), record(traceback.format_exc())))
    except Exception as error:
        message = machine_failure(error) or described(error)
        send(pipe, Failed(failure_kind(error), record(message, 2_000), record(traceback.format_exc())))


def _evaluate(pipe: Connection, task: Task) -> None:
    if reason := too_little_room():
        send(pipe, Failed("machine", reason))
        return
    folder = Path(task.folder)
    finished = folder / RESULT
    os.environ.update(task.environment)
    _fix_conditions(task.precision, task.threads)
    keras.utils.set_random_seed(task.seed)
    dataset = Prepared.open(Path(task.dataset))
    try:
        network, recipe, hp = _candidate(pipe, task, dataset)
    except InfeasibleArchitecture as error:
        send(pipe, _infeasible(error))
        return
    built = _built(network, recipe, hp)
    if ask(pipe, built) != Decision.CONTINUE or task.describe_only:
        return
    if finished.exists():  # trained to the end before, told to nobody
        send(pipe, EvaluationResult(**json.loads(finished.read_text())))
        return
    if task.keep_model:
        require_saveable(network.model)
    _write_record(folder / "artifacts", task, dataset, built)
    result = _train_and_measure(pipe, task, dataset, network, recipe)
    if result.state != "stopped" and not task.sample:
        settle(folder / "artifacts", files=True)
        write_whole(finished, json.dumps(dataclasses.asdict(result)))
    send(pipe, result)


def _fix_conditions(precision: str, threads: int) -> None:
    """Fix threads and precision. TensorFlow reads these variables at its first operation."""
    for variable in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"):
        os.environ[variable] = str(threads)
    os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    keras.config.set_dtype_policy(precision)
    keras.config.set_image_data_format("channels_last")  # whatever the user's keras.json says


def _candidate(
    pipe: Connection, task: Task, dataset: Prepared
) -> tuple[BuiltArchitecture, Recipe, DrawnHyperParameters | None]:
    """The candidate of this task: fixed by the plan, or drawn through the pipe, with what it was drawn by."""
    space = Space.parse(task.space)
    classes = len(dataset.class_names)
    if task.candidate is not None:
        network = space.rebuild(
            task.candidate["family"], task.candidate["architecture"], dataset.image_shape, classes
        )
        _require_the_same(task.candidate, network)
        return network, _with_own_training(task.candidate["recipe"], network), None

    def suggest(name: str, domain: Domain) -> Value:
        value: Value = ask(pipe, Suggest(name, domain.to_dict()))
        return value

    recipe = dict(task.recipe)
    for field, domain in task.recipe_domains.items():
        recipe[field] = suggest(names.RECIPE + field, domain_from_dict(domain))
    narrowed = {name: domain_from_dict(domain) for name, domain in task.domains.items()}
    hp = DrawnHyperParameters(suggest, fixed=task.fix, domains=narrowed)
    network = space.build(
        hp,
        dataset.image_shape,
        classes,
        max_parameters=task.max_parameters,
        max_macs=task.max_macs,
        views=TEST_TIME_VIEWS.get(recipe.get("test_time", "none"), 1),
    )
    return network, _with_own_training(recipe, network), hp


def _require_the_same(candidate: Mapping[str, Any], network: BuiltArchitecture) -> None:
    """Refuse another network of the same values: the hypermodel was changed, or it builds by chance."""
    then, now = candidate.get("parameters", network.parameters), network.parameters
    if then != now:
        raise UserError(
            f"{network.family} builds another network than when it was explored ({then:,} parameters, now "
            f"{now:,}): it was changed, or it builds by chance; a change needs a new study"
        )


def _with_own_training(recipe: Mapping[str, Any], network: BuiltArchitecture) -> Recipe:
    """The recipe with what a hypermodel decides of its own training in place of it."""
    known = {field.name for field in dataclasses.fields(Recipe)}
    return Recipe.from_dict({**recipe, **{k: v for k, v in network.training.items() if k in known}})


def _infeasible(error: InfeasibleArchitecture) -> Infeasible:
    return Infeasible(str(error), error.violation, error.parameters, error.macs)


def _built(network: BuiltArchitecture, recipe: Recipe, hp: DrawnHyperParameters | None) -> Built:
    architecture = {"family": network.family, **network.architecture}
    return Built(
        family=network.family,
        variant=network.variant,
        label=network.label,
        architecture=network.architecture,
        facts=network.facts,
        recipe=recipe.every_field(),
        architecture_fingerprint=fingerprint(architecture),
        candidate_fingerprint=fingerprint({"architecture": architecture, "recipe": recipe.to_dict()}),
        parameters=network.parameters,
        macs=network.macs * recipe.views,
        unmet=sorted(hp.unmet) if hp else [],
        stood={path: one._asdict() | {"domain": one.domain.to_dict()} for path, one in hp.stood.items()}
        if hp
        else {},
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
    pipe: Connection, task: Task, dataset: Prepared, network: BuiltArchitecture, recipe: Recipe
) -> EvaluationResult:
    started = time.perf_counter()
    planned = plan_replicates(task, dataset)
    history: list[dict[str, float]] = []
    trainings: list[TrainingResult] = []
    results: list[ReplicateResult] = []
    outcome = "complete"
    for number, one in enumerate(planned):
        again = network if number == 0 else _rebuilt(task, dataset, network, one.seed)
        trained = _train(pipe, task, again, recipe, one, number, len(history))
        trainings.append(trained)
        history += [{**row, "epoch": len(history) + n} for n, row in enumerate(trained.history, start=1)]
        outcome = trained.outcome
        if not task.sample and (outcome != "complete" or number == len(planned) - 1):
            send(pipe, Closing())
        if outcome != "complete" or task.sample:
            break
        results.append(evaluate_replicate(one, trained))
        if len(planned) > 1:
            decision = ask(pipe, messages.Round(number + 1, _score(trained, task.objective)))
            outcome = OUTCOMES[Decision(decision)]
            if outcome != "complete":
                break
    metrics = {
        names.BEST_EPOCH: _mean(one.best_epoch for one in trainings),
        names.EPOCHS: _mean(one.epochs for one in trainings),
        names.PARAMETERS: float(network.parameters),
        names.MACS: float(network.macs * recipe.views),
        names.IMAGES_PER_SECOND: _mean(one.images_per_second for one in trainings),
    }
    if outcome != "stopped" and not task.sample:
        artifacts = Path(task.folder) / "artifacts"
        _write_history(artifacts / names.HISTORY_CSV, history)
        if task.validate:
            (artifacts / names.LAYERS_JSON).write_text(json.dumps(outline(network.model)))
        if outcome == "complete":
            metrics |= final_metrics(results, validated=task.validate)
            if recipe.weight_average:
                metrics[names.AVERAGED] = _mean(one.averaged for one in trainings)
            np.savez_compressed(artifacts / names.PREDICTIONS_NPZ, **predictions(results))
            if task.validate:
                write_gallery(artifacts / names.GALLERY_PNG, *worst_images_of(results))
            if task.keep_model:  # of several, the first: what they promise is one network's worth
                trainings[0].inference_model.save(artifacts / names.MODEL_KERAS)
    metrics[names.PEAK_RSS_MIB] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    metrics[names.SECONDS] = time.perf_counter() - started
    return EvaluationResult(
        outcome, score=_mean(_score(one, task.objective) for one in trainings), metrics=metrics
    )


def _train(
    pipe: Connection,
    task: Task,
    network: BuiltArchitecture,
    recipe: Recipe,
    one: Replicate,
    number: int,
    epochs_before: int,
) -> TrainingResult:
    """One training. What a hypermodel decides of epochs and order is honoured within the protocol."""

    def report(epoch: int, metrics: Mapping[str, float]) -> Decision:
        return Decision(ask(pipe, Epoch(epochs_before + epoch, dict(metrics))))

    return train(
        network.model,
        recipe,
        (one.training.images, one.training.labels),
        (one.monitor.images, one.monitor.labels),
        targets=one.training.targets,
        num_classes=network.model.output_shape[-1],
        epochs=min(task.epochs, network.training.get("epochs", task.epochs)),
        patience=task.patience,
        objective=task.objective,
        seed=one.seed,
        checkpoint=Path(task.folder) / ("checkpoint" if number == 0 else f"checkpoint-{number + 1}"),
        report=report,
        rates=tuple(task.rates or ()),
        shuffle=bool(network.training.get("shuffle", True)),
    )


def _rebuilt(task: Task, dataset: Prepared, network: BuiltArchitecture, seed: int) -> BuiltArchitecture:
    """The same architecture with the first weights of another seed."""
    keras.utils.set_random_seed(seed)
    return Space.parse(task.space).rebuild(
        network.family, network.architecture, dataset.image_shape, len(dataset.class_names)
    )


def _score(trained: TrainingResult, objective: str) -> float:
    """The objective's monitor twin at the kept epoch; NaN before the first epoch is over."""
    kept = next((row for row in trained.history if row["epoch"] == trained.best_epoch), {})
    return float(kept.get({"val_accuracy": "monitor_accuracy"}.get(objective, f"monitor_{objective}"), "nan"))


def _mean(numbers: Iterable[float]) -> float:
    return float(np.mean(list(numbers)))


def _write_history(path: Path, history: Sequence[Mapping[str, float]]) -> None:
    columns = ("epoch", *names.EPOCH_METRICS)
    lines = [",".join(columns)]
    lines += [",".join(repr(row[column]) for column in columns) for row in history]
    path.write_text("\n".join(lines) + "\n")
