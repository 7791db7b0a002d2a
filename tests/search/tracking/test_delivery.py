"""Nothing that waits for MLflow is given up, and nothing holds up its neighbours."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from search.tracking import names
from search.tracking.client import open_client
from search.tracking.delivery import Delivery
from search.tracking.failures import ArtifactError, Failure, failure_of
from search.tracking.recorded import recorded_evaluations
from search.tracking.spool import REFUSED, Spool, ended_keys, reasons_of
from search.tracking.writer import Writer
from tests.support.processes.servers import free_port
from tests.support.studies.stores import new_store


@pytest.fixture
def store(tmp_path: Path) -> str:
    return new_store(tmp_path)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool" / "small")
    yield spool
    spool.close()


def study(spool: Spool) -> None:
    spool.append("study", key="s", name="study", tags={names.KIND: names.STUDY_KIND, names.STUDY: "s"})


def evaluation(spool: Spool, number: int, **tags: str) -> None:
    content = {
        "key": f"s/explore/{number}/0",
        "parent": "s",
        "name": f"trial {number}",
        "tags": {names.KIND: names.EVALUATION_KIND, names.STUDY: "s", names.STATE: "complete", **tags},
    }
    spool.append("begin", **content)
    spool.append("end", state="complete", **content)


def held(store: str) -> set[str]:
    client = open_client(store)
    (experiment,) = [one.experiment_id for one in client.search_experiments() if one.name == "small"]
    return set(recorded_evaluations(client, experiment, "s"))


@contextmanager
def answering(status: int, body: str) -> Iterator[str]:
    """Something at an address that answers every request alike."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            content = body.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


PAGE = "<!doctype html><title>Sign in</title>"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, PAGE, "is no MLflow server"),
        (404, "", "is no MLflow server"),
        (200, PAGE, "is no MLflow server"),
        (400, json.dumps({"detail": "plain HTTP was sent to an HTTPS port"}), "is no MLflow server"),
        (401, "You are not authenticated.", "MLFLOW_TRACKING_PASSWORD"),
        (403, PAGE, "MLFLOW_TRACKING_PASSWORD"),
        (403, json.dumps({"error_code": "PERMISSION_DENIED", "message": "no"}), "MLFLOW_TRACKING_PASSWORD"),
        (502, PAGE, None),
        (503, json.dumps({"error_code": "TEMPORARILY_UNAVAILABLE", "message": "later"}), None),
    ],
)
def test_only_mlflow_itself_can_refuse(
    spool: Spool, store: str, status: int, body: str, said: str | None
) -> None:
    study(spool)
    evaluation(spool, 0)
    with answering(status, body) as address:
        delivery = Delivery(spool, Writer(address, "small", None))
        assert delivery.drain(10) == 3
        assert delivery.trouble
        assert (said is None and delivery.fault is None) or (
            said and delivery.fault and said in delivery.fault
        )
        delivery.close(0)
    assert delivery.refused == 0
    assert len(spool.pending()) == 3
    assert reasons_of(spool.folder)
    later = Delivery(spool, Writer(store, "small", spool.folder / "artifacts"))
    assert later.close() == 0
    assert held(store) == {"s/explore/0/0"}
    assert reasons_of(spool.folder) == []


@pytest.mark.parametrize("text", ["caf\udce9.png is no image", "a\x00b", "\ud83d half", "\udcff" * 9000])
def test_text_that_no_store_takes_is_delivered_in_letters(spool: Spool, store: str, text: str) -> None:
    study(spool)
    evaluation(spool, 0, **{names.REASON: text})
    evaluation(spool, 1)
    assert Delivery(spool, Writer(store, "small", spool.folder / "artifacts")).close() == 0
    assert held(store) == {"s/explore/0/0", "s/explore/1/0"}


def test_a_record_that_cannot_be_sent_holds_up_its_own_evaluation_alone(spool: Spool, store: str) -> None:
    study(spool)
    spool.append("of a later version", key="s/explore/0/0", parent="s")
    evaluation(spool, 0)
    (spool.folder / f"{1:020d}.json").write_text('{"kind": "be')  # a disk lost its end
    evaluation(spool, 1)
    delivery = Delivery(spool, Writer(store, "small", spool.folder / "artifacts"))
    assert delivery.drain(60) == 4
    assert held(store) == {"s/explore/1/0"}
    assert delivery.trouble
    assert delivery.refused == 0
    assert len(reasons_of(spool.folder)) == 2
    assert ended_keys(spool.folder.parent, "small") == {"s/explore/0/0"}
    delivery.close(0)


def test_a_server_that_never_answered_is_not_waited_for(spool: Spool) -> None:
    study(spool)
    delivery = Delivery(spool, Writer(f"http://127.0.0.1:{free_port()}", "small", None))
    said: list[str] = []
    delivery.wait_for_server(lambda _: False, said.append)
    assert said == []
    delivery.close(0)
    assert len(spool.pending()) == 1


def test_evaluations_wait_for_their_study(spool: Spool, store: str) -> None:
    spool.append("of a later version", key="s")
    study(spool)
    evaluation(spool, 0)
    delivery = Delivery(spool, Writer(store, "small", spool.folder / "artifacts"))
    assert delivery.drain(15) == 4
    delivery.close(0)


def test_what_was_refused_is_kept_and_can_be_sent_again(spool: Spool, store: str, tmp_path: Path) -> None:
    study(spool)
    for value in (1, 2):  # a parameter cannot change its value in MLflow
        spool.append("begin", key="s/explore/0/0", parent="s", name="trial", params={"trial": value})
    evaluation(spool, 1)
    writer = Writer(store, "small", tmp_path / "artifacts")
    delivery = Delivery(spool, writer)
    assert delivery.close() == 0
    assert delivery.refused == 1
    (reason,) = (spool.folder / REFUSED).glob("*.txt")
    assert "trial" in reason.read_text()
    client = open_client(store)
    run = writer.run_id("s/explore/0/0")
    assert run is not None
    client.delete_run(run)  # what stood in the way
    assert spool.send_again() == 1
    again = Delivery(spool, Writer(store, "small", tmp_path / "artifacts"))
    assert again.close() == 0
    assert again.refused == 0
    assert not (spool.folder / REFUSED).exists()


def test_a_store_that_takes_no_files_is_named_and_other_records_go_on(
    spool: Spool, store: str, tmp_path: Path
) -> None:
    (tmp_path / "artifacts").write_text("a file where the folder should be")
    study(spool)
    spool.append("files", key="s", texts={"study.json": "{}"})
    delivery = Delivery(spool, Writer(store, "small", tmp_path / "artifacts"))
    assert delivery.drain(20) == 1
    assert delivery.fault
    assert "its artifact store takes no files" in delivery.fault
    delivery.close(0)


@pytest.mark.parametrize(("status", "failure"), [(500, Failure.ARTIFACTS), (503, Failure.AWAY)])
def test_a_server_that_cannot_write_to_its_own_folder_is_told_from_one_that_is_away(
    status: int, failure: Failure
) -> None:
    """It takes records, and answers 500 to files: that has to be mended before hours of training."""
    said = f"Max retries exceeded with url: /x (Caused by ResponseError('too many {status} error responses'))"
    error = ArtifactError("files of s")
    error.__cause__ = MlflowException(
        f"API request to http://h/x failed with exception HTTPConnectionPool: {said}"
    )
    assert failure_of(error, local=False) is failure
