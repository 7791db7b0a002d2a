"""What users, scripts and stored studies rely on, collected from the program as plain values.

`surface.json` holds what was agreed on. `python -m tests.golden.surface` prints what there is now;
whoever adds a name adds it to that file.
"""

import json
import re
import tempfile
import types
from pathlib import Path
from typing import Any

import typer

from tests.support.studies.simulated import Simulation

#: Digests that stand for some images, so that a study's id depends on the experiment alone.
IMAGES = types.SimpleNamespace(digest="d" * 64, split_digest="5" * 64, test_digest=None)
SYNTHETIC = "synthetic:train=40,validation=20,test=20"


def study_ids() -> dict[str, str]:
    """The id of every shipped experiment's study: on IMAGES, in float32, with one thread."""
    from experiments.schema.catalog import experiment_names
    from experiments.schema.experiment import ExperimentConfig
    from experiments.workflows.study.resolve import study_config

    plain = {"protocol.precision": "float32", "protocol.threads": 1}
    specs = {name: ExperimentConfig.load(name).override(plain) for name in experiment_names()}
    return {name: study_config(spec, IMAGES).study_id for name, spec in specs.items()}


def digests(folder: Path) -> dict[str, dict[str, str | None]]:
    """The digests of prepared data: drawn images, and a folder of pictures with fixed pixels."""
    from search.datasets.prepare import prepare

    pictures = write_pictures(folder / "pictures")
    sources = {"synthetic": SYNTHETIC, "folder": str(pictures)}
    found = {name: prepare(source, folder / name, say=lambda _: None) for name, source in sources.items()}
    fields = ("digest", "split_digest", "test_digest")
    return {name: {field: getattr(data, field) for field in fields} for name, data in found.items()}


def write_pictures(folder: Path) -> Path:
    """Three classes of twelve uncompressed grey pictures, with a test part."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(7)
    for part, count in (("train", 9), ("test", 3)):
        for name in ("angry", "happy", "sad"):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 256, (24, 24), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / part / name / f"{number}.bmp")
    return folder


def toml_keys() -> dict[str, Any]:
    """Every key of an experiment file with its default ("required" where there is none)."""
    from experiments.schema import sections
    from experiments.schema.experiment import ExperimentConfig
    from search.protocol import Protocol
    from search.training.recipe import Recipe

    models = {
        "": ExperimentConfig,
        "protocol": Protocol,
        "verdict": sections.VerdictRule,
        "data": sections.Images,
        "published": sections.Published,
        "search.range": sections.Range,
    }
    keys = {
        table: {key: _default(field) for key, field in m.model_fields.items()} for table, m in models.items()
    }
    return {**keys, "recipe": _plain(Recipe.from_dict({}).every_field())}


def _default(field: Any) -> Any:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return _plain(value.model_dump(mode="json") if hasattr(value, "model_dump") else value)


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def mlflow_names() -> list[str]:
    """Every tag, state, metric, parameter and artifact that search and reports agree on."""
    from search.tracking import names

    said = [value for name, value in vars(names).items() if name.isupper()]
    return sorted({word for value in said for word in ([value] if isinstance(value, str) else value)})


def commands() -> dict[str, dict[str, Any]]:
    """Every command's arguments and options: how they are written, what they take, their defaults."""
    from experiments.cli import app

    group = typer.main.get_command(app)
    return {
        name: {_written(p): _taken(p) for p in command.params} for name, command in group.commands.items()
    }


def _written(parameter: Any) -> str:
    words = [*parameter.opts, *parameter.secondary_opts]
    return " ".join(words) if parameter.param_type_name == "option" else parameter.name.upper()


def _taken(parameter: Any) -> dict[str, Any]:
    default = parameter.default() if callable(parameter.default) else parameter.default
    return _plain(
        {
            "required": parameter.required,
            "several": parameter.multiple or parameter.nargs != 1,
            "flag": bool(getattr(parameter, "is_flag", False)),
            "default": default,
            "variable": parameter.envvar,
        }
    )


def columns(folder: Path) -> dict[str, list[str]]:
    """The columns of every table: of the frames for notebooks, and of the report."""
    from reports.analysis import analyse
    from reports.records import frames
    from reports.records.store import HISTORY_COLUMNS
    from reports.records.study import load_study
    from reports.rows import COLUMNS, comparison_rows
    from reports.tables import tables
    from tests.support.studies.mlflow_study import write

    uri = write(folder / "mlflow", Simulation("small", explore=4, leaders=2, seeds=2, images=60, epochs=2))
    analysis = analyse(load_study("small", uri))
    shown = [table for _, table in tables(analysis, comparison_rows(analysis))]
    own = {f"table {table.name}": [*table.rows.columns] for table in shown if table.own}
    return {
        "evaluations": [*frames.DTYPES],
        "history": [*HISTORY_COLUMNS],
        "rows": [*COLUMNS],
        **own,
    }


def surface() -> dict[str, Any]:
    """All of it."""
    with tempfile.TemporaryDirectory() as folder:
        return {
            "study ids": study_ids(),
            "digests": digests(Path(folder)),
            "toml": toml_keys(),
            "mlflow": mlflow_names(),
            "commands": commands(),
            "columns": columns(Path(folder)),
        }


def as_text(found: dict[str, Any]) -> str:
    """JSON with one line for each innermost list or table."""
    text = json.dumps(found, indent=1, ensure_ascii=False)
    return re.sub(r"[\[{][^\[\]{}]*[\]}]", lambda inner: re.sub(r"\s*\n\s*", " ", inner[0]), text) + "\n"


if __name__ == "__main__":
    print(as_text(surface()), end="")
