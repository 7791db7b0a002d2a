"""A registered model is served by MLflow itself: real process, real requests over HTTP."""

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient

from search.models.classifier import Classifier
from search.models.predict import predict_emotion
from search.models.registry.references import labels_of_run
from search.models.registry.registry import Registration, register
from tests.search.models.conftest import drawing

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def port(store: tuple[str, MlflowClient], run_of: Callable[[str], str], tmp_path: Path) -> Iterator[int]:
    """`mlflow models serve` of a registered model, on a port of this machine alone."""
    tracking, client = store
    run, number = run_of("a"), _free_port()
    register(client, Registration("small", run, labels_of_run(client, run), (24, 20, 1), {}, ""))
    uri = ["-m", "models:/small@champion", "--env-manager", "local", "--port", str(number)]
    # In a folder of its own, and without Candor on the path: a version brings what it needs.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment["MLFLOW_TRACKING_URI"] = tracking
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"  # MLflow looks for uvicorn
    with subprocess.Popen(
        [sys.executable, "-m", "mlflow", "models", "serve", *uri],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as server:
        try:
            _wait(number, server)
            yield number
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGKILL)


def _wait(port: int, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and server.poll() is None:
        try:
            with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
                connection.request("GET", "/ping")
                if connection.getresponse().status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the server did not come up")


def _ask(port: int, body: Any) -> tuple[int, Any]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("POST", "/invocations", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def test_mlflow_serves_the_champion(port: int, classifier: Classifier) -> None:
    """Files as base64 and arrays of numbers get Candor's own answers; what is wrong, 400 and a sentence."""
    image = drawing("RGB", (50, 40))
    with io.BytesIO() as file:
        image.save(file, "PNG")
        text = base64.b64encode(file.getvalue()).decode()
    expected = predict_emotion(classifier, image)

    status, answer = _ask(port, {"inputs": [text, np.asarray(image).tolist()]})
    assert status == 200
    for one in answer["predictions"]:
        assert one["label"] == expected.label
        assert one["probabilities"] == pytest.approx(expected.probabilities, abs=1e-4)

    wrong = {
        "image 0 of the request is none: the text is not base64": {"inputs": ["?"]},
        "image 1 of the request is none: cannot identify": {
            "inputs": [text, base64.b64encode(b"no").decode()]
        },
        "its rows are no numbers of equal length": {"inputs": [[[1, 2], [3]]]},
        "its numbers leave the range from 0 to 255": {"inputs": [[[1, 256], [3, 4]]]},
        "an array of shape (2,) is no picture": {"inputs": [[1, 2]]},
        "send a list of images": {"inputs": []},
        "inputs": {"images": [text]},
    }
    for sentence, body in wrong.items():
        status, answer = _ask(port, body)
        assert (status, sentence in answer["message"]) == (400, True), answer
        assert "Traceback" not in answer["message"]
