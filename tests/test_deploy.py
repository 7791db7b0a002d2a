"""What `deploy/` offers can be read by the programs it is for, keeps no password, and calls what exists."""

import subprocess
from pathlib import Path

import pytest
import yaml

from experiments.cli import app

DEPLOY = Path(__file__).parent.parent / "deploy"


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


@pytest.mark.parametrize("name", ["compose.yaml", "slurm.sh", "Dockerfile"])
def test_what_could_not_be_run_is_said_at_the_top(name: str) -> None:
    """Whoever opens the file knows what has been seen to work."""
    head = "\n".join((DEPLOY / name).read_text().splitlines()[:2])
    assert "Not run here" in head or "Not built here" in head


def test_the_commands_in_it_exist() -> None:
    """`candor worker`, with the options that are given to it."""
    import typer

    worker = typer.main.get_command(app).commands["worker"]
    options = {option for parameter in worker.params for option in parameter.opts}
    assert {"--data", "--workspace"} <= options
