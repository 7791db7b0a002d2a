"""What `deploy/` offers can be read by the programs it is for, keeps no password, and calls what exists."""

import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
import typer
import yaml

from experiments.cli import app

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"


def test_compose_shares_one_database_and_one_server_and_opens_no_port_to_the_world() -> None:
    """PostgreSQL, MLflow on it, workers; passwords are read from a file when a container starts."""
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert services.keys() == {"postgres", "mlflow", "worker"}
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert "postgresql+psycopg://candor@postgres/mlflow" in services["mlflow"]["command"][-1]
    assert (
        services["worker"]["environment"]["CANDOR_STORAGE"] == "postgresql+psycopg://candor@postgres/studies"
    )
    for name in ("mlflow", "worker"):
        assert services[name]["command"][-1].startswith(
            'PGPASSWORD="$$(cat /run/secrets/postgres_password)" exec'
        )


def test_the_array_job_is_a_shell_script_that_names_what_it_lacks() -> None:
    """bash reads it; without an address it stops with a sentence."""
    script = str(DEPLOY / "slurm.sh")
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    done = subprocess.run(
        ["bash", script, "joint"], capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"}
    )
    assert (done.returncode, "CANDOR_STORAGE: set it to postgresql" in done.stderr) == (1, True)


def test_the_array_job_starts_a_worker_with_what_it_is_given(tmp_path: Path) -> None:
    """A program in `candor`'s place prints what it was called with; the real one takes that."""
    stand_in = tmp_path / "candor"
    stand_in.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    stand_in.chmod(0o755)
    variables = {
        "CANDOR_STORAGE": "postgresql+psycopg://candor@db/studies",
        "MLFLOW_TRACKING_URI": "http://m",
    }
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_SUBMIT_DIR": "/shared", **variables}
    command = ["bash", str(DEPLOY / "slurm.sh"), "joint", "--data", "/shared/images"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    called, *words = done.stdout.splitlines()
    assert called == "worker"
    assert parsed(words, variables) == ("joint", "/shared/images", Path("/shared/runs"), *variables.values())


def test_the_worker_of_compose_is_started_with_options_that_exist() -> None:
    worker = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["worker"]
    line = worker["command"][-1].partition("exec candor worker ")[2]
    line = line.replace("$${CANDOR_DATA:-/data}", "/data").replace("$$EXPERIMENT", "joint")
    experiment, data, workspace, *addresses = parsed(shlex.split(line), worker["environment"])
    assert (experiment, data, workspace) == ("joint", "/data", Path("/workspace"))
    assert addresses == [worker["environment"][name] for name in ("CANDOR_STORAGE", "MLFLOW_TRACKING_URI")]


def parsed(words: list[str], environment: dict[str, str]) -> tuple[object, ...]:
    """What `candor worker` makes of a command line: experiment, data, workspace, storage, server."""
    worker = typer.main.get_command(app).commands["worker"]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CANDOR_STORAGE", "MLFLOW_TRACKING_URI"):
            patch.setenv(name, environment[name])
        given = worker.make_context("worker", list(words)).params
    return tuple(given[name] for name in ("experiment", "data", "workspace", "storage", "tracking_uri"))


def test_the_server_of_compose_is_started_with_options_that_mlflow_has() -> None:
    from mlflow.cli import server

    command = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["mlflow"]["command"][-1]
    given = {word for word in shlex.split(command) if word.startswith("--")}
    assert given - {option for parameter in server.params for option in parameter.opts} == set()


def test_the_image_holds_the_whole_program() -> None:
    """Whatever it copies exists, and no package of the program is left out."""
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    copied = [source for line in lines if line.startswith("COPY ") for source in line.split()[1:-1]]
    assert [source for source in copied if not (ROOT / source).exists()] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {package.rstrip("*") for package in packages} - set(copied) == set()
