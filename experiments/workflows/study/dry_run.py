"""`candor search --dry-run`: the study as it would be, printed. Only the cache of images is written."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace

from experiments.schema.experiment import ExperimentConfig
from experiments.workflows.study.context import RunContext
from experiments.workflows.study.resolve import few_seeds, prepare_data, study_config
from experiments.workflows.study.search import size, threads_for
from search.datasets.part_checks import overview
from search.execution.devices import environments
from search.execution.fork_client import ForkServer
from search.sqlite_files import is_absent
from search.study.optuna.retry import BrokenStudy
from search.study.optuna.samplers import require_usable
from search.study.optuna.storage import open_storage
from search.study.planning.config import StudyConfig
from search.study.planning.warm_start import nothing_there, warm_start_candidates
from search.workers.dry_run import DryRun, DryRunCandidate, try_candidates
from spaces.domains import Categorical, Domain, Integer

_SHOWN = 12


def dry_run(experiment: ExperimentConfig, context: RunContext, say: Callable[[str], None]) -> DryRun:
    """Say what the study would be and how long it would take here. Raises UserError and BrokenStudy."""
    require_usable(experiment.protocol)
    server = ForkServer(context.workspace.logs / "children.log")
    server.start()
    try:
        config = study_config(experiment, prepare_data(experiment, context.workspace, say))
        if experiment.protocol.threads == "auto":
            config = replace(config, threads=threads_for(config, context, server, say))
        workers = len(environments(context.workers, config.threads, context.gpu_share))
        for line in (
            *_study(config, workers),
            *few_seeds(config),
            *_splits(config),
            *_beginning(config, context),
        ):
            say(line)
        if not server.wait_until_ready(180):
            raise BrokenStudy(f"Keras could not be loaded: see {context.workspace.logs / 'children.log'}")
        found = try_candidates(server, config, workers)
    finally:
        server.close()
    for line in (*_space(config, found), *_cost(config, found, workers)):
        say(line)
    return found


def _study(config: StudyConfig, workers: int) -> list[str]:
    plural = "s" if workers > 1 else ""
    return [
        f"{config.experiment}: {config.question}",
        f"study {config.study_id}: {workers} worker{plural}, {config.precision}, "
        f"{config.threads} thread{'s' if config.threads > 1 else ''} each",
    ]


def _beginning(config: StudyConfig, context: RunContext) -> list[str]:
    """What an earlier study hands over. Raises UserError where it does not."""
    if config.protocol.warm_start is None:
        return []
    storage_url = context.storage or context.workspace.storage_url
    if is_absent(storage_url):
        raise nothing_there(config)
    with closing(open_storage(storage_url)) as storage:
        handed_over = warm_start_candidates(storage, config, f"{config.experiment}-{config.study_id}/explore")
    study = str(handed_over[0]["from"]).partition("/")[0]
    return [f"begins with {len(handed_over)} of study {study}, by its own monitor images"]


def _splits(config: StudyConfig) -> list[str]:
    data, fraction = config.data, config.protocol.monitor_fraction
    train, validation, test = (data.counts[part] for part in ("train", "validation", "test"))
    monitor = round(train * fraction)
    lines = [f"data: {data.name}, {size(data)}, {len(data.class_names)} classes, digest {data.digest[:12]}"]
    if config.folds:
        lines.append(f"  {config.folds} folds of {train + validation:,} images, drawn anew by every seed")
    else:
        lines.append(f"  train {train - monitor:,}, monitor {monitor:,}, validation {validation:,}")
    lines += overview(data.name, data.class_names, data.audit, data.notes)[1:]
    lines.append(f"  split digest {data.split_digest[:12]}")
    sealed = f"test {test:,}, sealed, digest {data.test_digest[:12]}" if data.test_digest else "no test part"
    return [*lines, f"  {sealed}"]


def _space(config: StudyConfig, found: DryRun) -> list[str]:
    varying = _varying(found)
    different = list(dict.fromkeys(_described(one, varying) for one in found.candidates))
    shown = different[:_SHOWN]
    rest = len(different) - len(shown)
    tail = [f"  and {rest} more"] if rest > 0 else []
    if config.cells:
        cells = len(config.cells) + (config.baseline is not None)
        return [f"grid: {cells} cells{_infeasible(found)}", *shown, *tail]
    names = [f"  {name}: {_range(domain)}" for name, domain in sorted(found.domains.items())]
    return [
        f"space: {len(found.domains)} hyperparameters met, {_size_of(found.domains)}{_infeasible(found)}",
        *names,
        "built as a try:",
        *shown,
        *tail,
    ]


def _varying(found: DryRun) -> list[str]:
    """Fields of the recipe in which candidates differ."""
    recipes = [one.recipe for one in found.candidates]
    return [name for name in recipes[0] if any(recipe[name] != recipes[0][name] for recipe in recipes)]


def _described(one: DryRunCandidate, varying: Sequence[str]) -> str:
    recipe = "".join(f", {name.replace('_', ' ')} {_value(one.recipe[name])}" for name in varying)
    return (
        f"  {one.label}{recipe}: {one.parameters:,} parameters, {one.macs / 1e6:,.1f} M multiply-adds, "
        f"at most {duration(one.seconds)} a training"
    )


def _value(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _infeasible(found: DryRun) -> str:
    tried = len(found.candidates) + found.infeasible
    return f"; {found.infeasible} of {tried} tried are infeasible" if found.infeasible else ""


def _range(domain: Domain) -> str:
    if isinstance(domain, Categorical):
        return ", ".join(map(str, domain.choices))
    step = f" in steps of {domain.step:g}" if domain.step not in (None, 1) else ""
    return f"{domain.low:g} to {domain.high:g}{step}{', logarithmic' if domain.log else ''}"


def _size_of(domains: Mapping[str, Domain]) -> str:
    """Products within each family, added up, times what all have in common."""
    ways: dict[str, int] = defaultdict(lambda: 1)
    for name, domain in domains.items():
        family = name.partition("/")[0] if name.startswith("family=") else ""
        ways[family] *= _values(domain) or 1
    whole = ways.pop("", 1) * (sum(ways.values()) or 1)
    continuous = sum(not _values(domain) for domain in domains.values())
    count = f"{whole:,}" if whole < 1e6 else f"{whole:.1e}"
    return f"at most {count} candidates" + (f" times {continuous} continuous ranges" if continuous else "")


def _values(domain: Domain) -> int:
    """How many values there are; 0: a continuum."""
    if isinstance(domain, Categorical):
        return len(domain.choices)
    if isinstance(domain, Integer):
        return (domain.high - domain.low) // domain.step + 1
    return round((domain.high - domain.low) / domain.step) + 1 if domain.step else 0


def _cost(config: StudyConfig, found: DryRun, workers: int) -> list[str]:
    from reports.inference.rounds import expected_evaluations

    protocol = config.protocol
    stages = " and ".join(f"{count} in {stage}" for stage, count in found.evaluations)
    if protocol.in_rounds:
        rounds = expected_evaluations(found.confirmed, protocol.max_seeds)
        explored = [f"{count} in explore" for stage, count in found.evaluations if stage == "explore"]
        confirmed = f"{rounds.fewest} to {rounds.most} in confirm, some {rounds.typical} as a rule"
        stages = " and ".join([*explored, confirmed])
    several = f", {config.folds} trainings each" if config.folds else ""
    if protocol.explore_seeds > 1:
        several = f", {protocol.explore_seeds} trainings each in explore"
    short = protocol.hours is not None and found.seconds > protocol.hours * 3600
    budget = f"; the budget of {protocol.hours:g} hours may end explore before" if short else ""
    return [
        f"evaluations: {'' if protocol.in_rounds else 'at most '}{stages}{several}, of at most "
        f"{protocol.epochs} epochs",
        f"time: {'some' if protocol.in_rounds else 'at most'} {duration(found.seconds)} with {workers} "
        f"worker{'s' if workers > 1 else ''}, less what early stopping and pruning save{budget}",
        "Nothing was written but the cache of images and a log.",
    ]


def duration(seconds: float) -> str:
    """As a person says it."""
    for unit, name in ((86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.0f} seconds"
