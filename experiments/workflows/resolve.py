"""From an experiment file and its data to the study that they are."""

import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from experiments.schema.spec import Spec
from search.datasets.prepare import Prepared, prepare
from search.safety.secrets import masked
from search.study.config import Protocol, Setting
from search.tracking.environment import versions
from search.training.precision import automatic
from search.workspace import Workspace
from spaces.keras_tuner.source_digest import code_of


def prepare_data(spec: Spec, workspace: Workspace, say: Callable[[str], None]) -> Prepared:
    """The experiment's images, from the cache where they were prepared before."""
    asked = spec.data
    return prepare(
        asked.source,
        workspace.cache,
        image_size=asked.image_size,
        channels=asked.channels,
        limit=asked.limit,
        classes=asked.classes,
        seed=asked.seed,
        leaks=spec.protocol.leaks,
        say=say,
    )


def setting_of(spec: Spec, data: Prepared) -> Setting:
    """The study that an experiment on these data is."""
    protocol, code = spec.protocol, code_of(spec.space)
    precision = automatic() if protocol.precision == "auto" else protocol.precision
    shared = {name: getattr(protocol, name) for name in Protocol.__dataclass_fields__}
    domains = {name: domain.to_dict() for name, domain in spec.domains.items()}
    return Setting(
        experiment=spec.name,
        question=spec.question,
        space=spec.space[0] if len(spec.space) == 1 else tuple(spec.space),
        recipe=spec.recipe,
        protocol=Protocol(**shared),
        data=data,
        precision=precision,
        threads=1 if protocol.threads == "auto" else protocol.threads,
        fix=spec.fixed,
        domains={n: d for n, d in domains.items() if not n.startswith("recipe.")},
        recipe_domains={n.removeprefix("recipe."): d for n, d in domains.items() if n.startswith("recipe.")},
        cells=tuple(spec.cells),
        baseline=spec.baseline_cell,
        folds=spec.data.folds,
        identity=spec.identity() | ({"code": dict(code)} if code else {}),
    )


def study_facts(spec: Spec, setting: Setting, leads: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a report says about the study: the content of study.json. leads: what explore begins with."""
    data, resolved = setting.data, spec.resolved()
    return {
        "experiment": spec.name,
        "question": spec.question,
        "study": setting.study,
        "space": list(spec.space),
        "protocol": {**resolved["protocol"], **resolved["verdict"]},
        "recipe": resolved["recipe"],
        "search": resolved.get("search", {}),
        "fix": resolved.get("fix", {}),
        "grid": resolved.get("grid", []),
        "baseline": resolved.get("baseline"),
        "leads": [lead["from"] for lead in leads],
        "published": resolved.get("published", []),
        "data": {
            "name": data.name,
            "source": data.source,
            "synthetic": data.synthetic,
            "class_names": list(data.class_names),
            "image_shape": list(data.image_shape),
            "counts": dict(data.counts),
            "folds": setting.folds,
            "digest": data.digest,
            "split_digest": data.split_digest,
            "test_digest": data.test_digest,
            "notes": list(data.notes),
            "audit": dict(data.audit),
        },
        "precision": setting.precision,
        "threads": setting.threads,
        "backend": os.environ.get("KERAS_BACKEND", "tensorflow"),
        "command": command(),
        "versions": versions(),
    }


def command() -> str:
    """The command line as it was typed, to be shown in the report."""
    return masked(shlex.join(["candor", *sys.argv[1:]]))
