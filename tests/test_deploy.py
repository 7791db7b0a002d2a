"""What `deploy/` offers can be read by the programs it is for, keeps no password, and calls what exists."""

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from importlib import metadata
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


@pytest.mark.slow
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


def test_no_secret_is_in_the_build_context_or_under_version_control() -> None:
    """The context is the project's folder; everything is left out but what the image copies."""
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {line.removeprefix("!") for line in rules if line.startswith("!")}
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    copied = {source for line in lines if line.startswith("COPY ") for source in line.split()[1:-1]}
    assert let_in == copied
    assert not any("secrets".startswith(name) or name in ("deploy", "runs") for name in let_in)
    assert "deploy/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


def test_images_are_pinned_by_digest_and_packages_by_hash() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert services["postgres"]["image"].startswith("${POSTGRES_IMAGE:?")
    assert services["mlflow"]["build"]["args"]["PYTHON_IMAGE"].startswith("${PYTHON_IMAGE:?")
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    assert [line for line in lines if line.startswith("FROM ")] == ["FROM ${PYTHON_IMAGE}"]
    installs = [line for line in lines if "pip install" in line]
    assert all("--require-hashes" in line or "--no-deps" in line for line in installs)
    lock = (DEPLOY / "requirements.lock").read_text()
    pinned = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock, re.MULTILINE))
    plain = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert "psycopg-binary" in pinned
    assert plain.items() <= pinned.items()
    assert lock.count("==") <= lock.count("--hash=sha256:")
    assert not re.search(r"index-url|find-links|file://|https?://", lock)


def test_the_script_that_pins_writes_digests_and_nothing_else(tmp_path: Path) -> None:
    """A program in Docker's place says what Docker would; a tag without a digest ends in a message."""
    script = tmp_path / "deploy" / "pin.sh"
    script.parent.mkdir()
    script.write_text((DEPLOY / "pin.sh").read_text())
    stand_in = tmp_path / "docker"
    for found, code in (("@sha256:" + "a" * 64, 0), (":latest", 1)):
        stand_in.write_text(f'#!/bin/sh\n[ "$1" = pull ] || echo "${{5%%:*}}{found}"\n')
        stand_in.chmod(0o755)
        done = subprocess.run(
            ["bash", str(script)], capture_output=True, text=True, check=False,
            env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        )  # fmt: skip
        assert done.returncode == code, done.stderr
    digest = "sha256:" + "a" * 64
    assert (script.parent / ".env").read_text() == (
        f"PYTHON_IMAGE=python@{digest}\nPOSTGRES_IMAGE=postgres@{digest}\n"
    )


def test_every_service_has_few_rights_and_a_bound_of_memory() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert service["pids_limit"], name
        assert not service.get("privileged"), name
    assert "cap_add" not in services["mlflow"]
    assert "cap_add" not in services["worker"]
    assert "USER candor" in (DEPLOY / "Dockerfile").read_text().splitlines()


#: Found by name where they are installed, and said to be missing otherwise; or of a notebook.
OPTIONAL = {"jax", "torch", "kagglehub", "onnx", "onnxruntime", "tf2onnx", "IPython", "psycopg", "ray"}


@pytest.mark.slow
def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    own = [name.rstrip("*") for name in project["tool"]["setuptools"]["packages"]["find"]["include"]]
    imported = {
        module.partition(".")[0]
        for folder in own
        for file in (ROOT / folder).rglob("*.py")
        for module in modules_of(ast.parse(file.read_text(encoding="utf-8")))
    }
    foreign = imported - set(own) - set(sys.stdlib_module_names) - OPTIONAL
    by_module = metadata.packages_distributions()
    sources = {module: {plain(name) for name in by_module[module]} for module in foreign}
    declared = {plain(re.split(r"[^\w-]", one)[0]) for one in project["project"]["dependencies"]}
    assert {module for module, found in sources.items() if not found & declared} == set()
    assert declared - set().union(*sources.values()) == set()


def modules_of(tree: ast.Module) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.append(node.module)
    return found


def plain(name: str) -> str:
    return name.lower().replace("_", "-")
