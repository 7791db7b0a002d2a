"""A small study in a process of its own: real storage, spool, MLflow, children; `stand_in` is their body.

Started by tests and benchmarks, which kill it, cut it off, or leave it alone:
    python -m tests.support.studies.small_study FOLDER SETTING.json
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from experiments.workflows.study.context import RunContext
from experiments.workflows.study.rounds import RoundDecider, wait_until
from experiments.workflows.study.search import undelivered
from search.datasets.cache.prepared import Prepared
from search.execution.fork_client import ForkServer
from search.execution.signals import hearing_signals
from search.protocol import Protocol
from search.study.optuna.reconcile import Looks, StudyName
from search.study.optuna.storage import open_storage
from search.study.planning.config import StudyConfig
from search.study.study import Study
from search.tracking.delivery import Delivery
from search.tracking.spool import Spool
from search.tracking.writer import Writer, prepare_store
from search.workers.coordinator import Coordinator
from search.workers.recorder import Recorder
from search.workers.session import Observer
from search.workspace import Workspace

BODY = "tests.support.processes.stand_in"


def config(
    cells: Sequence[dict[str, Any]] = (), fix: Mapping[str, Any] | None = None, **protocol: Any
) -> StudyConfig:
    """A study on images that nobody looks at; without cells it explores three numbers, or what fix says."""
    counts = {"train": 1000, "validation": 100, "test": 0}
    digest = "0" * 64
    data = Prepared(
        folder=Path("nowhere"),
        name="none",
        source="none",
        synthetic=True,
        class_names=("a", "b"),
        image_shape=(8, 8, 1),
        counts=counts,
        digest=digest,
        split_digest=digest,
        test_digest=None,
        notes=(),
        audit={},
    )
    return StudyConfig(
        experiment="small",
        question="Does it hold?",
        space="plain_cnn",
        recipe={},
        protocol=Protocol(**{"seeds": 5, **protocol}),
        data=data,
        precision="float32",
        threads=1,
        fix={} if cells else {"draws": 3, **(fix or {})},
        cells=tuple(cells),
        identity={"cells": list(cells)},
    )


def run(
    workspace: Workspace,
    config: StudyConfig,
    workers: int = 2,
    *,
    storage: str | None = None,
    tracking: str | None = None,
    grace_seconds: int = 120,
    lock: int | None = None,
    observers: Sequence[Observer] = (),
    say: Callable[[str], None] = print,
) -> bool:
    """Run or continue the study; whether it is over. As a search does, without data, verdict and report."""
    tracking = tracking or workspace.tracking_uri
    prepare_store(tracking, workspace.folder / "mlflow.lock")
    server = ForkServer(workspace.logs / "children.log", BODY, () if lock is None else (lock,))
    server.start()
    records = open_storage(storage or workspace.storage_url, grace_seconds)
    study = Study(config, records, workspace)
    spool = Spool.claim(workspace.spool / config.experiment)
    local = workspace.artifacts if tracking.startswith("sqlite") else None
    delivery = Delivery(spool, Writer(tracking, config.experiment, local, records.exclusive))
    protocol = config.protocol.model_dump(mode="json")
    recorder = Recorder(spool, config, {"protocol": protocol} if config.protocol.in_rounds else {}, "")
    coordinator = Coordinator(server, workers, [recorder, *observers], say)
    context = RunContext(workspace, workers, storage, tracking)
    rounds = RoundDecider(
        study,
        context,
        recorder,
        delivery,
        looks=Looks(StudyName(config.experiment, config.study_id), records),
        missing=partial(undelivered, config.experiment, context, study),
        wait=partial(wait_until, lambda: coordinator.stopped),
        say=say,
    )

    def stop() -> None:
        coordinator.stop()
        say("stopping")

    recorder.study_begun()
    server.wait_until_ready(60)
    over = False
    with hearing_signals(stop):
        try:
            over = study.run(coordinator, lambda stage: None, rounds.decide)
        finally:
            recorder.study_ended(over)
            server.close()
            waiting = delivery.close()
            spool.close()  # a second run in this process is to find what waits
    say(f"over: {over}, waiting: {waiting}")
    return over


def main(folder: str, description: str) -> None:
    """Run the described study in this workspace."""
    fields = json.loads(Path(description).read_text())
    workspace = Workspace.at(Path(folder))
    with workspace.lock() as lock:
        over = run(
            workspace,
            config(fields.get("cells", ()), fields.get("fix"), **fields.get("protocol", {})),
            fields.get("workers", 2),
            storage=fields.get("storage"),
            tracking=fields.get("tracking"),
            lock=lock,
            say=lambda text: print(text, flush=True),
        )
    sys.exit(0 if over else 130)


if __name__ == "__main__":
    main(*sys.argv[1:])
