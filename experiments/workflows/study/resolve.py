"""From an experiment file and its data to the study that they are."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from experiments.schema.experiment import ExperimentConfig
from reports.inference.standings import FEWEST_SEEDS
from search.datasets.listing.left_out import WARNING
from search.datasets.prepare import Prepared, prepare
from search.execution.backend import keras_backend
from search.labels.choice import choose_labels
from search.safety.secrets import masked_command
from search.study.planning.config import StudyConfig
from search.tracking.environment import versions
from search.training.precision import automatic
from search.workspace import Workspace
from spaces.keras_tuner.source_digest import code_of


def prepare_data(experiment: ExperimentConfig, workspace: Workspace, say: Callable[[str], None]) -> Prepared:
    """The experiment's images, from the cache where they were prepared before."""
    asked = experiment.data
    data = prepare(
        asked.source,
        workspace.cache,
        image_size=asked.image_size,
        channels=asked.channels,
        limit=asked.limit,
        classes=asked.classes,
        group=asked.group,
        seed=asked.seed,
        leaks=experiment.protocol.leaks,
        say=say,
    )
    return choose_labels(data, asked.labels, workspace.cache, workspace.logs / "children.log", say)


def study_config(experiment: ExperimentConfig, data: Prepared) -> StudyConfig:
    """The study that an experiment on these data is."""
    protocol, code = experiment.protocol, code_of(experiment.space)
    precision = automatic() if protocol.precision == "auto" else protocol.precision
    domains = {name: domain.to_dict() for name, domain in experiment.domains.items()}
    return StudyConfig(
        experiment=experiment.name,
        question=experiment.question,
        space=experiment.space[0] if len(experiment.space) == 1 else tuple(experiment.space),
        recipe=experiment.recipe,
        protocol=protocol,
        data=data,
        precision=precision,
        threads=1 if protocol.threads == "auto" else protocol.threads,
        fix=experiment.fixed,
        domains={n: d for n, d in domains.items() if not n.startswith("recipe.")},
        recipe_domains={n.removeprefix("recipe."): d for n, d in domains.items() if n.startswith("recipe.")},
        cells=tuple(experiment.cells),
        baseline=experiment.baseline_cell,
        folds=experiment.data.folds,
        identity=experiment.identity() | ({"code": dict(code)} if code else {}),
    )


def study_facts(
    experiment: ExperimentConfig, config: StudyConfig, warm_start: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What a report says about the study: the content of study.json. leads: what explore begins with."""
    data, resolved = config.data, experiment.resolved()
    return {
        "experiment": experiment.name,
        "question": experiment.question,
        "study": config.study_id,
        "space": list(experiment.space),
        "protocol": {**resolved["protocol"], **resolved["verdict"]},
        "recipe": resolved["recipe"],
        "search": resolved.get("search", {}),
        "fix": resolved.get("fix", {}),
        "grid": resolved.get("grid", []),
        "baseline": resolved.get("baseline"),
        "leads": [lead["from"] for lead in warm_start],
        "published": resolved.get("published", []),
        "data": {
            "name": data.name,
            "source": data.source,
            "synthetic": data.synthetic,
            "class_names": list(data.class_names),
            "image_shape": list(data.image_shape),
            "counts": dict(data.counts),
            "folds": config.folds,
            "digest": data.digest,
            "split_digest": data.split_digest,
            "test_digest": data.test_digest,
            "bits": data.bits,
            "notes": list(data.notes),
            "audit": dict(data.audit),
        },
        "precision": config.precision,
        "threads": config.threads,
        "backend": keras_backend(),
        "command": command(),
        "versions": versions(),
    }


def few_seeds(config: StudyConfig) -> list[str]:
    """Say before anything is trained that so few seeds prove nothing; empty where there are enough.

    Args:
        config: Of the study.
    """
    seeds = config.protocol.seeds
    if seeds == "auto" or seeds >= FEWEST_SEEDS:
        return []
    plural = "s" if seeds > 1 else ""
    return [
        f"  {WARNING}{seeds} seed{plural} of each candidate: no difference will be claimed, for that takes "
        f"{FEWEST_SEEDS} or more. Ask for them with --seeds, or leave it out."
    ]


def command() -> str:
    """The command line as it was typed, to be shown in the report."""
    return masked_command(["candor", *sys.argv[1:]])
