"""Turns what happens in a study into records for MLflow: an observer of the coordinator."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from search.execution.messages import (
    LOST,
    STOPPED,
    Epoch,
    EvaluationResult,
)
from search.safety.text import markdown_line
from search.study.planning.config import StudyConfig
from search.study.stages.evaluation import ActiveEvaluation
from search.tracking import names
from search.tracking.environment import versions
from search.tracking.params import as_params
from search.tracking.spool import Spool


class Recorder:
    """Spools the study's run and one run for each evaluation. Never waits for MLflow."""

    def __init__(
        self, spool: Spool, config: StudyConfig, study_facts: Mapping[str, Any], experiment_toml: str
    ) -> None:
        self._spool = spool
        self._config = config
        self._facts = study_facts
        self._toml = experiment_toml
        self._source = _source_tags()

    @property
    def study_key(self) -> str:
        """The key of the study's own run."""
        return self._config.study_id

    def study_begun(self) -> None:
        """The parent run: what the study is, for people and for reports."""
        config = self._config
        protocol = config.protocol
        self._spool.append("sweep")
        self._spool.append(
            "study",
            key=self.study_key,
            name=f"study {config.study_id} on {config.data.name}",
            tags={
                names.KIND: names.STUDY_KIND,
                names.STUDY: config.study_id,
                names.EXPERIMENT: config.experiment,
                names.RESUMED: str(time.time_ns() // 1_000_000),
                names.DATA_DIGEST: config.data.digest,
                names.SPLIT_DIGEST: config.data.split_digest,
                **({names.TEST_DIGEST: config.data.test_digest} if config.data.test_digest else {}),
                names.VERSIONS: json.dumps(versions()),
                names.HOST: socket.gethostname(),
                names.PID: str(os.getpid()),
                "mlflow.note.content": self._note(),
                **self._source,
            },
            params={
                "objective": protocol.objective,
                "sampler": protocol.sampler,
                "pruner": protocol.pruner,
                "epochs": protocol.epochs,
                "patience": protocol.patience,
                names.PARAM_PRECISION: config.precision,
                names.PARAM_THREADS: config.threads,
            },
            datasets=_datasets(config),
        )
        self._spool.append(
            "files",
            key=self.study_key,
            files=self._spool.copy_files(config.data.folder / names.AUDIT, self.study_key, names.AUDIT),
            texts={
                names.STUDY_JSON: json.dumps(self._facts, indent=1, sort_keys=True),
                names.EXPERIMENT_TOML: self._toml,
            },
        )

    def study_ended(self, finished: bool) -> None:
        """Close the parent run; it opens again when the study goes on."""
        self._spool.append("close", key=self.study_key, status="FINISHED" if finished else "KILLED")

    def study_files(self, texts: Mapping[str, str], tags: Mapping[str, str] | None = None) -> None:
        """Log texts (a verdict, a page) and tags to the parent run."""
        self._spool.append("files", key=self.study_key, texts=dict(texts), tags=dict(tags or {}))

    def begun(self, evaluation: ActiveEvaluation) -> None:
        """Nothing yet: a run begins when its candidate is known."""

    def built(self, evaluation: ActiveEvaluation) -> None:
        """The run of an evaluation begins."""
        self._spool.append("begin", **self._evaluation(evaluation, names.RUNNING))

    def epoch(self, evaluation: ActiveEvaluation, message: Epoch) -> None:
        """One point on every curve."""
        metrics = {name: message.metrics[name] for name in names.EPOCH_METRICS}
        self._spool.append(
            "epoch", key=evaluation.key, step=message.epoch, at=evaluation.time, metrics=metrics
        )

    def ended(self, evaluation: ActiveEvaluation, result: EvaluationResult) -> None:
        """The end of an evaluation: final metrics, artifacts, state. A stopped one is closed for now."""
        if result.state == LOST:
            return  # the run is another machine's now
        if result.state == STOPPED:
            if evaluation.built is not None:
                self._spool.append("close", key=evaluation.key, status="KILLED")
            return
        files = self._spool.keep_files(Path(evaluation.task.folder) / "artifacts", evaluation.key)
        fields = self._evaluation(evaluation, result.state)
        fields["tags"] |= {names.REASON: result.reason} if result.reason else {}
        metrics = {k: v for k, v in result.metrics.items() if v == v}
        self._spool.append("end", state=result.state, metrics=metrics, files=files, **fields)

    def _evaluation(self, evaluation: ActiveEvaluation, state: str) -> dict[str, Any]:
        config, built = self._config, evaluation.built
        tags = {
            names.KIND: names.FINAL_KIND if evaluation.stage == names.FINAL else names.EVALUATION_KIND,
            names.STUDY: config.study_id,
            names.EXPERIMENT: config.experiment,
            names.TRIAL: str(evaluation.slot),
            names.SEED: str(evaluation.seed),
            names.STAGE: evaluation.stage,
            names.STATE: state,
            names.HOST: socket.gethostname(),
            names.PID: str(os.getpid()),
            **({names.BASELINE: "true"} if evaluation.baseline else {}),
            **self._source,
        }
        params = {
            names.PARAM_TRIAL: evaluation.slot,
            names.PARAM_SEED: evaluation.seed,
            names.PARAM_PRECISION: config.precision,
            names.PARAM_THREADS: evaluation.task.threads,
        }
        called = {names.EXPLORE: f"trial {evaluation.slot}", names.FINAL: "trained on train + monitor"}
        name = called.get(evaluation.stage, f"candidate {evaluation.slot}, seed {evaluation.seed}")
        if built is not None:
            tags |= {
                names.FAMILY: built.family,
                names.VARIANT: built.variant,
                names.LABEL: built.label,
                names.ARCHITECTURE: built.architecture_fingerprint,
                names.CANDIDATE: built.candidate_fingerprint,
            }
            params |= as_params(names.ARCH, {**built.architecture, **built.facts})
            params |= as_params(names.RECIPE, built.recipe)
            name = f"{built.label}, {name}"
        return {"key": evaluation.key, "parent": self.study_key, "name": name, "tags": tags, "params": params}

    def _note(self) -> str:
        config = self._config
        data = config.data
        synthetic = (
            " (synthetic images: nothing here says anything about real ones)" if data.synthetic else ""
        )
        name = markdown_line(data.name)
        return "\n\n".join(
            [
                f"**{markdown_line(config.question)}**",
                f"One study of the experiment `{config.experiment}` on {name}{synthetic}. Its "
                "evaluations are the runs under this one: *explore* draws candidates and ranks them on the "
                "monitor split, *confirm* trains the leaders on fresh seeds and measures them on validation. "
                "The test set is sealed.",
                "`verdict.json` says what can be believed, `report.html` shows it.",
            ]
        )


def _datasets(config: StudyConfig) -> list[dict[str, Any]]:
    data = config.data
    digests = {"train": data.split_digest, "validation": data.digest}
    return [
        {
            "context": part,
            "dataset": {
                "name": f"{data.name} {part}",
                "digest": digest[:36],
                "source_type": "local",
                "source": json.dumps({"uri": data.source}),
                "profile": json.dumps({"images": data.counts[part]}),
            },
        }
        for part, digest in digests.items()
    ]


def _source_tags() -> dict[str, str]:
    """What MLflow's fluent interface would add by itself: who ran what, from which commit."""
    tags = {
        "mlflow.user": os.environ.get("USER", "unknown"),
        "mlflow.source.name": Path(sys.argv[0]).name,
        "mlflow.source.type": "LOCAL",
    }
    commit = _git("rev-parse", "HEAD")
    if commit:
        tags |= {
            "mlflow.source.git.commit": commit,
            names.GIT_COMMIT: commit,
            names.GIT_DIRTY: "true" if _git("status", "--porcelain", "--untracked-files=no") else "false",
        }
    return tags


def _git(*arguments: str) -> str:
    folder = Path(__file__).parent
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
