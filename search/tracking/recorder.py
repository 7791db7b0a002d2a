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

from search.execution.messages import Epoch
from search.study.config import Setting
from search.study.evaluation import (
    LOST,
    STOPPED,
    Outcome,
    Work,
)
from search.tracking import names
from search.tracking.environment import versions
from search.tracking.spool import Spool
from search.tracking.writer import as_params


class Recorder:
    """Spools the study's run and one run for each evaluation. Never waits for MLflow."""

    def __init__(
        self, spool: Spool, setting: Setting, study_facts: Mapping[str, Any], experiment_toml: str
    ) -> None:
        self._spool = spool
        self._setting = setting
        self._facts = study_facts
        self._toml = experiment_toml
        self._source = _source_tags()

    @property
    def study_key(self) -> str:
        """The key of the study's own run."""
        return self._setting.study

    def study_begun(self) -> None:
        """The parent run: what the study is, for people and for reports."""
        setting = self._setting
        protocol = setting.protocol
        self._spool.append("sweep")
        self._spool.append(
            "study",
            key=self.study_key,
            name=f"study {setting.study} on {setting.data.name}",
            tags={
                names.KIND: names.STUDY_KIND,
                names.STUDY: setting.study,
                names.EXPERIMENT: setting.experiment,
                names.RESUMED: str(time.time_ns() // 1_000_000),
                names.DATA_DIGEST: setting.data.digest,
                names.SPLIT_DIGEST: setting.data.split_digest,
                **({names.TEST_DIGEST: setting.data.test_digest} if setting.data.test_digest else {}),
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
                names.PARAM_PRECISION: setting.precision,
                names.PARAM_THREADS: setting.threads,
            },
            datasets=_datasets(setting),
        )
        self._spool.append(
            "files",
            key=self.study_key,
            files=self._spool.copy_files(setting.data.folder / names.AUDIT, self.study_key, names.AUDIT),
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

    def begun(self, work: Work) -> None:
        """Nothing yet: a run begins when its candidate is known."""

    def built(self, work: Work) -> None:
        """The run of an evaluation begins."""
        self._spool.append("begin", **self._evaluation(work, names.RUNNING))

    def epoch(self, work: Work, message: Epoch) -> None:
        """One point on every curve."""
        metrics = {name: message.metrics[name] for name in names.EPOCH_METRICS}
        self._spool.append("epoch", key=work.key, step=message.epoch, at=work.time, metrics=metrics)

    def ended(self, work: Work, outcome: Outcome) -> None:
        """The end of an evaluation: final metrics, artifacts, state. A stopped one is closed for now."""
        if outcome.state == LOST:
            return  # the run is another machine's now
        if outcome.state == STOPPED:
            if work.built is not None:
                self._spool.append("close", key=work.key, status="KILLED")
            return
        files = self._spool.keep_files(Path(work.task.folder) / "artifacts", work.key)
        fields = self._evaluation(work, outcome.state)
        fields["tags"] |= {names.REASON: outcome.reason} if outcome.reason else {}
        metrics = {k: v for k, v in outcome.metrics.items() if v == v}
        self._spool.append("end", state=outcome.state, metrics=metrics, files=files, **fields)

    def _evaluation(self, work: Work, state: str) -> dict[str, Any]:
        setting, built = self._setting, work.built
        tags = {
            names.KIND: names.FINAL_KIND if work.stage == names.FINAL else names.EVALUATION_KIND,
            names.STUDY: setting.study,
            names.EXPERIMENT: setting.experiment,
            names.TRIAL: str(work.slot),
            names.SEED: str(work.seed),
            names.STAGE: work.stage,
            names.STATE: state,
            names.HOST: socket.gethostname(),
            names.PID: str(os.getpid()),
            **({names.BASELINE: "true"} if work.baseline else {}),
            **self._source,
        }
        params = {
            names.PARAM_TRIAL: work.slot,
            names.PARAM_SEED: work.seed,
            names.PARAM_PRECISION: setting.precision,
            names.PARAM_THREADS: work.task.threads,
        }
        called = {names.EXPLORE: f"trial {work.slot}", names.FINAL: "trained on train + monitor"}
        name = called.get(work.stage, f"candidate {work.slot}, seed {work.seed}")
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
        return {"key": work.key, "parent": self.study_key, "name": name, "tags": tags, "params": params}

    def _note(self) -> str:
        setting = self._setting
        data = setting.data
        synthetic = (
            " (synthetic images: nothing here says anything about real ones)" if data.synthetic else ""
        )
        return "\n\n".join(
            [
                f"**{setting.question}**",
                f"One study of the experiment `{setting.experiment}` on {data.name}{synthetic}. Its "
                "evaluations are the runs under this one: *explore* draws candidates and ranks them on the "
                "monitor split, *confirm* trains the leaders on fresh seeds and measures them on validation. "
                "The test set is sealed.",
                "`verdict.json` says what can be believed, `report.html` shows it.",
            ]
        )


def _datasets(setting: Setting) -> list[dict[str, Any]]:
    data = setting.data
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
