"""The orchestration: an experiment file in, a study run or continued, a verdict and a report out."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from experiments.schema.experiment import ExperimentConfig
from experiments.workflows.console.progress import Progress
from experiments.workflows.study.conclude import NoVerdict, conclude, report
from experiments.workflows.study.context import RunContext
from experiments.workflows.study.resolve import few_seeds, prepare_data, study_config, study_facts
from experiments.workflows.study.rounds import RoundDecider, wait_until
from search.datasets.part_checks import overview
from search.datasets.prepare import Prepared
from search.execution.devices import cores, environments, gpus
from search.execution.fork_client import ForkServer
from search.execution.signals import hearing_signals
from search.safety.secrets import masked_address
from search.study.optuna.reconcile import Looks, StudyName, reconcile, remember_address
from search.study.optuna.retry import BrokenStudy
from search.study.optuna.samplers import require_usable
from search.study.optuna.storage import Storage, open_storage
from search.study.planning.config import StudyConfig
from search.study.stages.stage import Stage
from search.study.study import Study, find_begun
from search.tracking import names
from search.tracking.client import open_client
from search.tracking.delivery import Delivery
from search.tracking.failures import Failure, failure_of, reason_of, sentence_of
from search.tracking.spool import Spool, ended_keys
from search.tracking.writer import Writer, prepare_store
from search.workers.coordinator import Coordinator
from search.workers.dry_run import check_names
from search.workers.recorder import Recorder
from search.workers.thread_benchmark import WORTHWHILE, benchmark_threads, best_threads
from spaces.errors import UserError

#: So long the process that draws a shared study's verdict may take, in seconds.
_CONCLUDING = 900
#: So long may take what fixes a new study's threads, while other machines wait to join it, in seconds.
_BEGINNING = 600


@dataclass(frozen=True)
class Finished:
    """What a search command has to tell at its end.

    Attributes:
        study: the study's id.
        over: whether nothing of it is left to evaluate.
        report: the page; None where there is none to be trusted.
        sentences: the verdict, or why there is none.
        concluded: whether there is a verdict, or another machine is going to draw it.
        waiting: records that MLflow has not taken yet.
        trouble: why it has not.
        refused: records that it never will take.
    """

    study: str
    over: bool
    report: Path | None
    sentences: tuple[str, ...]
    concluded: bool
    waiting: int
    trouble: str | None
    refused: int


def search(experiment: ExperimentConfig, context: RunContext, progress: Progress) -> Finished:
    """Run or continue the study of this experiment. Raises UserError and BrokenStudy."""
    require_usable(experiment.protocol)  # before anything of the study exists
    with context.workspace.lock() if context.storage is None else nullcontext() as held:
        inherit = () if held is None else (held,)
        server = ForkServer(
            context.workspace.logs / "children.log", inherit=inherit, compiled=context.workspace.compiled
        )
        server.start()  # Keras is imported while the data are prepared
        try:
            return _search(experiment, context, progress, server)
        finally:
            server.close()


def _search(
    experiment: ExperimentConfig, context: RunContext, progress: Progress, server: ForkServer
) -> Finished:
    storage = open_storage(context.storage or context.workspace.storage_url, context.grace_seconds)
    with ThreadPoolExecutor(1) as beside:
        store = beside.submit(prepare_store, context.tracking, context.workspace.folder / "mlflow.lock")
        data = prepare_data(experiment, context.workspace, progress.say)
        check_names(server, study_config(experiment, data))
        store.result()
    with storage.exclusive(f"{experiment.name}/begin", _BEGINNING):
        config = study_config(experiment, data)
        known = find_begun(config, storage, strict=context.joins, given=_given(experiment))
        if known is None and experiment.protocol.threads == "auto":
            config = replace(config, threads=threads_for(config, context, server, progress.say))
        config = known or config
        named = StudyName(config.experiment, config.study_id)
        for sentence in _reconciled(named, storage, context):
            progress.say(sentence)
        study = Study(config, storage, context.workspace)
        remember_address(named, storage, context.server or "")
    spool = Spool.claim(context.workspace.spool / experiment.name, context.server)
    local = context.workspace.artifacts if context.tracking.startswith("sqlite") else None
    writer = Writer(context.tracking, experiment.name, local, storage.exclusive, config.study_id)
    delivery = Delivery(spool, writer)
    warm_start = study.explore.warm_start if study.explore is not None else ()
    recorder = Recorder(spool, config, study_facts(experiment, config, warm_start), experiment.to_toml())
    places = environments(context.workers, config.threads, context.gpu_share)
    coordinator = Coordinator(server, len(places), [recorder, progress], progress.say, places)
    _introduce(study, len(places), progress)
    recorder.study_begun()
    if delivery.drain(20) and delivery.fault:  # better now than after hours of training
        delivery.close(0)
        raise UserError(delivery.fault)
    looks = Looks(named, storage)
    over = False
    try:
        if not server.wait_until_ready(180):
            raise BrokenStudy(f"Keras could not be loaded: see {context.workspace.logs / 'children.log'}")
        with hearing_signals(_stopper(coordinator, progress)), progress.live():
            rounds = RoundDecider(
                study,
                context,
                recorder,
                delivery,
                looks=looks,
                missing=partial(undelivered, experiment.name, context, study),
                wait=partial(wait_until, lambda: coordinator.stopped),
                say=progress.say,
            )
            over = study.run(coordinator, partial(_began, study, progress), rounds.decide)
    finally:
        if over or _deserted(study):
            with suppress(OSError):  # without room for it the next start says so
                recorder.study_ended(over)
        delivery.drain(60)
    if storage.shared and not coordinator.stopped:
        with hearing_signals(_stopper(coordinator, progress)):
            delivery.wait_for_server(partial(wait_until, lambda: coordinator.stopped), progress.say)
    with study.exclusive("verdict", _CONCLUDING):
        arrived = over and not delivery.drain(60)
        missing = _missing(experiment.name, context, study) if arrived else Counter()
        sentences: tuple[str, ...] = ()
        nothing = ""
        if arrived and not missing:
            try:
                sentences = conclude(experiment, context, recorder, delivery, looks)
            except NoVerdict as reason:
                nothing = str(reason)
    if sentences:
        sentences += _champion(experiment, context, study, coordinator, progress, delivery)
    if missing:
        sentences = (_on_their_way(missing, context) if storage.shared else _deleted(missing),)
    waiting = delivery.close()
    page = (
        None if waiting or missing else report([experiment.name], context.tracking, context.workspace.reports)
    )
    return Finished(
        study=config.study_id,
        over=over and not coordinator.stopped,
        report=page,
        sentences=(nothing,) if nothing else sentences,
        concluded=bool(sentences) and not nothing and (storage.shared or not missing),
        waiting=waiting,
        trouble=delivery.trouble,
        refused=delivery.refused,
    )


def _given(experiment: ExperimentConfig) -> dict[str, Any]:
    """What the experiment says of how children compute, where it leaves nothing to the machine."""
    asked = {"precision": experiment.protocol.precision, "threads": experiment.protocol.threads}
    return {name: value for name, value in asked.items() if value != "auto"}


def threads_for(
    config: StudyConfig, context: RunContext, server: ForkServer, say: Callable[[str], None]
) -> int:
    """Threads of each child of a new study, such that this machine's cores are neither idle nor fought over.

    The children of GPUs share the cores. Without GPUs it is measured, unless the number of workers is given;
    on two cores, two children of one thread have been faster with every network (see docs/speed.md).
    """
    if gpus():
        return max(1, cores() // (len(gpus()) * context.gpu_share))
    worthwhile = context.workers is None and cores() > 2 and config.data.counts["train"] >= WORTHWHILE
    if not worthwhile or not server.wait_until_ready(180):
        return 1
    speeds = benchmark_threads(server, config, cores())
    measured = ", ".join(f"{n} x {threads}: {speed:.0f}" for (n, threads), speed in speeds.items())
    say(f"calibration, images/s of children x threads: {measured}")
    return best_threads(speeds)


def _champion(
    experiment: ExperimentConfig,
    context: RunContext,
    study: Study,
    coordinator: Coordinator,
    progress: Progress,
    delivery: Delivery,
) -> tuple[str, ...]:
    """Train the selected candidate once more, if the experiment asks for it, and register its model."""
    from experiments.workflows.study.register import crown

    def train(candidate: str, rates: Sequence[float]) -> str | None:
        with hearing_signals(_stopper(coordinator, progress)), progress.live():
            key = study.refit(coordinator, progress.began, candidate, rates)
        delivery.drain(60)
        return key

    retrain = train if experiment.protocol.final == "retrain" else None
    sentence = crown(experiment.name, context.tracking, study.config.study_id, retrain)
    return (sentence,) if sentence else ()


def _missing(experiment: str, context: RunContext, study: Study) -> Counter[str]:
    """How many evaluations are over and not yet ended in MLflow, by the machines that they were on."""
    import reports

    known = reports.load_study(experiment, context.tracking, study.config.study_id).evaluations
    delivered = set(known.key[known.state != names.RUNNING])
    return Counter(machine for key, machine in study.ended().items() if key not in delivered)


def undelivered(experiment: str, context: RunContext, study: Study) -> str:
    """Which evaluations that are over MLflow lacks still, in words; empty where it has all.

    Raises BrokenStudy where nobody is going to deliver them: they were deleted.
    """
    missing = _missing(experiment, context, study)
    if missing and context.storage is None:
        raise BrokenStudy(_deleted(missing))
    return f"evaluations are still on their way to MLflow: {_from(missing)}" if missing else ""


def _from(missing: Counter[str]) -> str:
    return ", ".join(f"{count} from {machine}" for machine, count in sorted(missing.items()))


def _on_their_way(missing: Counter[str], context: RunContext) -> str:
    server = f" --tracking-uri {context.server}" if context.server else ""
    mend = f"candor doctor --fix --storage {masked_address(context.storage or '')}{server}"
    return (
        f"Evaluations are still on their way to MLflow: {_from(missing)}. The machine that ends last draws "
        f"the verdict; if one of these is not at work any more, `{mend}` there delivers what it has."
    )


def _deleted(missing: Counter[str]) -> str:
    return (
        f"MLflow lacks {missing.total()} of the evaluations that are over, so there is no verdict: were they "
        "deleted there? The same command restores them, or trains them again."
    )


def _reconciled(named: StudyName, storage: Storage, context: RunContext) -> tuple[str, ...]:
    """What was done to let Optuna and MLflow hold the same. A server that is away is no reason to wait."""
    try:
        client = open_client(context.tracking)
        waiting = ended_keys(context.workspace.spool, named.experiment)
        return reconcile(named, storage, client, waiting=waiting, address=context.server or "")
    except (UserError, BrokenStudy):
        raise
    except Exception as error:
        if context.server is None:
            raise
        failure = failure_of(error, local=False)
        if failure in (Failure.DENIED, Failure.NO_MLFLOW):
            raise UserError(sentence_of(failure, error, context.tracking)) from error
        if failure is not Failure.AWAY:
            raise
        return (f"{reason_of(error)}: MLflow is away, and what it holds of the study was not looked at",)


def _deserted(study: Study) -> bool:
    """Whether nobody else works on the study; a storage that is away now says nothing, so: no."""
    try:
        return study.deserted()
    except Exception:
        return False


def _introduce(study: Study, workers: int, progress: Progress) -> None:
    config = study.config
    data = config.data
    counts = ", ".join(f"{n:,} {part}" for part, n in data.counts.items())
    progress.say(f": {config.question}", config.experiment)
    progress.say(f"data: {data.name}, {counts} images of {size(data)}, {len(data.class_names)} classes")
    for line in overview(data.name, data.class_names, data.audit, data.notes)[1:]:
        progress.say(line)
    for warning in few_seeds(config):
        progress.say(warning)
    progress.say(
        f"study {config.study_id}: {workers} worker{'s' if workers > 1 else ''}, {config.precision}, "
        f"{config.threads} thread{'s' if config.threads > 1 else ''} each"
    )
    if study.explore is not None and study.explore.warm_start:
        count, origin = len(study.explore.warm_start), study.explore.origin
        warm_start = f"the {count} best candidates" if count > 1 else "the best candidate"
        progress.say(f"  begins with {warm_start} of study {origin} of {config.protocol.warm_start}")
    for earlier in study.earlier:
        changed = ", ".join(earlier.keys[:6])
        progress.say(f"  a new study: it differs from study {earlier.study} in {changed}")


def size(data: Prepared) -> str:
    """Height, width and colours of the images."""
    height, width, channels = data.image_shape
    return f"{height}x{width} {'gray' if channels == 1 else 'RGB'}"


def _began(study: Study, progress: Progress, stage: Stage) -> None:
    """Show the stage that begins; why explore ended before its time, too."""
    explore = study.explore
    if explore is not None and stage is not explore and explore.counted() < explore.total():
        counts = f"{explore.counted()} of {explore.total()} trials"
        progress.say(f"explore ended with {counts}: {explore.ended_because}")
    progress.began(stage)


def _stopper(coordinator: Coordinator, progress: Progress) -> Callable[[], None]:
    """Ctrl-C or SIGTERM: finish the epochs, save, leave. A second one: stop now."""

    def stop() -> None:
        if coordinator.stopped:
            progress.say("stopping now")
        else:
            progress.say("finishing the current epochs, then saving; once more to stop at once")
        coordinator.stop()

    return stop
