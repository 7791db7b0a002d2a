"""`candor` as a person uses it: real processes, real training, read back with MLflow's own client."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import optuna
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from PIL import Image

from search.tracking import names
from tests.support.processes.command_line import candor, candor_here

EXPERIMENT = """
question = "Are two or three stages better on drawn faces?"
space = "plain_cnn"

[fix]
kernel_size = 3
convs_per_stage = 1
head = "average"
neurons = [64]

[search]
conv_stages = [2, 3]
kernels_1 = [8, 16]
kernels_2 = [8, 16]
kernels_3 = [16]

[recipe]
batch_size = 64
augmentation = "flip"

[baseline]
conv_stages = 2
kernels = [8, 8]

[protocol]
trials = 4
seeds = 3
leaders = 2
epochs = 3
patience = 3
max_parameters = 40000
final = "retrain"

[data]
source = "synthetic:train=400,validation=160,test=120"
"""

GRID = """
question = "Are kernels of five pixels better than kernels of three?"
space = "plain_cnn"

[fix]
conv_stages = 2
kernels_1 = 8
kernels_2 = 8
convs_per_stage = 1
head = "average"
neurons = [64]

[grid]
kernel_size = [3, 5]

[protocol]
seeds = 1
epochs = 1

[data]
source = "synthetic:train=200,validation=100,test=60"
"""


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("experiment") / "small.toml"
    path.write_text(EXPERIMENT)
    return path


def _runs(workspace: Path) -> list[Run]:
    client = MlflowClient(f"sqlite:///{workspace / 'mlflow.db'}")
    found = client.get_experiment_by_name("small")
    assert found is not None
    return list(client.search_runs([found.experiment_id], max_results=1000))


def _evaluations(workspace: Path) -> list[Run]:
    return [run for run in _runs(workspace) if run.data.tags[names.KIND] == names.EVALUATION_KIND]


def _checkpointed(workspace: Path) -> bool:
    return any(workspace.glob("checkpoints/*/checkpoint/*"))


def _processes_of(workspace: Path) -> list[int]:
    """Processes whose command line names the workspace, or that are fork servers of such a one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            log = (folder / "fd" / "1").readlink()
            command = (folder / "cmdline").read_bytes().decode()
        except OSError:
            continue
        if str(workspace) in command or str(log).startswith(str(workspace)):
            found.append(int(folder.name))
    return found


@pytest.mark.trains
@pytest.mark.timeout(1800)
def test_a_study_is_killed_resumed_finished_reported_and_opened_once(
    experiment: Path, tmp_path: Path
) -> None:
    """One study through everything: kill -9, continuation, verdict, report, continuation again, unsealing."""
    workspace = tmp_path / "runs"
    search = ["search", str(experiment), "--workspace", str(workspace), "--workers", "2"]

    with subprocess.Popen([sys.executable, "-m", "experiments", *search], stdout=subprocess.DEVNULL) as first:
        end = time.monotonic() + 400
        while not _checkpointed(workspace) and time.monotonic() < end:
            time.sleep(0.02)
        first.send_signal(signal.SIGKILL)
    assert _checkpointed(workspace)
    end = time.monotonic() + 60
    while _processes_of(workspace) and time.monotonic() < end:
        time.sleep(0.1)
    assert _processes_of(workspace) == []

    done = candor(*search)
    assert done.returncode == 0, done.stderr
    evaluations = _evaluations(workspace)
    keys = Counter(run.data.tags[names.KEY] for run in evaluations)
    assert set(keys.values()) == {1}
    assert {run.info.status for run in evaluations} <= {"FINISHED", "KILLED"}
    explored = [run for run in evaluations if run.data.tags[names.STAGE] == names.EXPLORE]
    counted = [run for run in explored if run.data.tags[names.STATE] in (names.COMPLETE, names.PRUNED)]
    assert len(counted) == 4
    confirmed = [run for run in evaluations if run.data.tags[names.STAGE] == names.CONFIRM]
    seeds = Counter(run.data.tags[names.CANDIDATE] for run in confirmed)
    assert set(seeds.values()) == {3}
    assert any(run.data.tags.get(names.BASELINE) == "true" for run in confirmed)

    _the_contract_is_kept(workspace, confirmed)
    _optuna_and_mlflow_agree(workspace, explored)
    page = workspace / "reports" / "small" / "index.html"
    assert "synthetic" in page.read_text()
    assert f"Report: {page}" in done.stdout

    again = candor(*search)
    assert again.returncode == 0, again.stderr
    assert "all of them are done already" in again.stdout
    assert len(_evaluations(workspace)) == len(evaluations)

    more = candor(*search, "--seeds", "4")
    assert more.returncode == 0, more.stderr
    parent = next(run for run in _runs(workspace) if run.data.tags[names.KIND] == names.STUDY_KIND)
    assert parent.data.tags[names.LOOKS] == "2"

    _the_test_set_opens_once(workspace, parent)
    _the_selected_model_is_registered(workspace, parent)


def _the_contract_is_kept(workspace: Path, confirmed: list[Run]) -> None:
    client = MlflowClient(f"sqlite:///{workspace / 'mlflow.db'}")
    run = confirmed[0]
    metrics = set(run.data.metrics)
    assert metrics >= {
        *names.EPOCH_METRICS,
        *(names.VAL + name for name in ("accuracy", "loss", "macro_f1")),
        *(names.MONITOR_FINAL + name for name in ("accuracy", "loss", "macro_f1")),
        *(names.TRAIN_CLEAN + name for name in ("accuracy", "loss")),
        *(
            names.GAP_ACCURACY,
            names.GAP_LOSS,
            names.RELATIVE_OVERFIT,
            names.ECE,
            names.BEST_EPOCH,
            names.EPOCHS,
        ),
        *(names.PARAMETERS, names.MACS, names.SECONDS, names.IMAGES_PER_SECOND, names.PEAK_RSS_MIB),
    }
    assert set(run.data.params) >= {
        "arch.kernels",
        "arch.conv_stages",
        "recipe.learning_rate",
        "trial",
        "seed",
    }
    artifacts = {item.path for item in client.list_artifacts(run.info.run_id)}
    own = {names.HISTORY_CSV, names.PREDICTIONS_NPZ, names.MODEL_KERAS, names.EVALUATION_JSON}
    assert artifacts == own | {names.LAYERS_JSON, names.GALLERY_PNG}
    steps = [m.step for m in client.get_metric_history(run.info.run_id, "train_loss")]
    assert steps == sorted(set(steps))
    parent = client.get_run(run.data.tags["mlflow.parentRunId"])
    assert parent.info.status == "FINISHED"
    assert len(parent.inputs.dataset_inputs) == 2
    logged = {item.path for item in client.list_artifacts(parent.info.run_id)}
    assert logged >= {names.STUDY_JSON, names.EXPERIMENT_TOML, names.VERDICT_JSON, names.REPORT_HTML, "audit"}
    audit = {item.path for item in client.list_artifacts(parent.info.run_id, names.AUDIT)}
    assert audit >= {"audit/audit.html", "audit/audit.json", "audit/twins.csv"}


def _optuna_and_mlflow_agree(workspace: Path, explored: list[Run]) -> None:
    storage = f"sqlite:///{workspace / 'studies.db'}"
    summaries = optuna.get_all_study_names(storage)
    study = optuna.load_study(
        study_name=next(n for n in summaries if n.endswith("/explore")), storage=storage
    )
    assert {t.state.name for t in study.get_trials()} <= {"COMPLETE", "PRUNED"}
    told = {t.user_attrs["key"]: t.user_attrs["state"] for t in study.get_trials()}
    assert told == {run.data.tags[names.KEY]: run.data.tags[names.STATE] for run in explored}


def _the_test_set_opens_once(workspace: Path, parent: Run) -> None:
    client = MlflowClient(f"sqlite:///{workspace / 'mlflow.db'}")
    verdict = json.loads(Path(client.download_artifacts(parent.info.run_id, names.VERDICT_JSON)).read_text())
    opened = candor("unseal", "small", "--workspace", str(workspace))
    if verdict["selected"] is None:
        assert opened.returncode == 2
        return
    assert opened.returncode == 0, opened.stderr
    tests = [run for run in _runs(workspace) if run.data.tags[names.KIND] == names.UNSEALING_KIND]
    wanted = [one for one in (verdict["selected"], verdict["runner_up"]) if one]
    assert Counter(run.data.tags[names.CANDIDATE] for run in tests) == dict.fromkeys(wanted, 4)
    assert all(0 <= run.data.metrics["test_accuracy"] <= 1 for run in tests)
    second = candor("unseal", "small", "--workspace", str(workspace))
    assert (second.returncode, "opened for this verdict already" in second.stderr) == (2, True)


def _the_selected_model_is_registered(workspace: Path, parent: Run) -> None:
    """Trained once more on train and monitor, with the numbers of the procedure, and in use at once."""
    client = MlflowClient(f"sqlite:///{workspace / 'mlflow.db'}")
    verdict = json.loads(Path(client.download_artifacts(parent.info.run_id, names.VERDICT_JSON)).read_text())
    if verdict["selected"] is None:
        return
    finals = [run for run in _runs(workspace) if run.data.tags[names.KIND] == names.FINAL_KIND]
    versions = {
        version.tags[names.SOURCE_KEY]: version for version in client.search_model_versions("name = 'small'")
    }
    newest = versions[max(finals, key=lambda run: run.info.start_time).data.tags[names.KEY]]
    assert newest.tags[names.CANDIDATE] == verdict["selected"]
    assert newest.tags[names.TRAINED_ON] == "train + monitor"
    assert {"val_accuracy", "own_val_accuracy", "test_accuracy", names.TEMPERATURE} <= newest.tags.keys()
    picture = workspace / "gray.png"
    Image.new("RGB", (90, 120), (120, 120, 120)).save(picture)
    said = candor("predict", str(picture), "--json", "--workspace", str(workspace))
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["model"].startswith("small version 1 (champion)")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["search", "jiont"], "joint"),
        (["search", "joint", "--set", "protocol.epoch=3"], "epochs"),
        pytest.param(["search", "joint", "--data", "nowhere.zip"], "nowhere.zip", marks=pytest.mark.slow),
        (["search", "joint", "--trials", "0"], "trials"),
        (["search", "joint", "--storage", "sqlite:///x.db"], "postgresql+psycopg://"),
        (["runs", "--tracking-uri", "localhost:5000"], "http://127.0.0.1:5000"),
        (["search", "joint", "--set", "verdict.marginn=0.02"], "margin"),
        (["search", "joint", "--workers", "0"], "--workers takes a number from 1 to 1,024 or auto"),
        (["report", "nothing"], "no study"),
        (["unseal", "nothing"], "no study"),
        (["predict", "x.png"], "no study"),
        (["promote", "nothing"], "no study"),
    ],
)
def test_a_mistake_gets_one_sentence_and_exit_code_2(
    arguments: list[str], expected: str, tmp_path: Path
) -> None:
    """No traceback, the word that helps, and nothing trained."""
    done = candor_here(*arguments, "--workspace", str(tmp_path / "runs"))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert expected in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_said_to(tmp_path: Path) -> None:
    """Soon, and not in MLflow's words."""
    began = time.monotonic()
    done = candor("runs", "--tracking-uri", "http://127.0.0.1:9", "--workspace", str(tmp_path))
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "the MLflow server at http://127.0.0.1:9 does not answer" in done.stderr
    assert time.monotonic() - began < 60


@pytest.mark.slow
def test_a_workspace_in_use_is_refused_with_the_way_out(tmp_path: Path) -> None:
    """Two coordinators on one SQLite file would undo each other: the second is sent to PostgreSQL."""
    workspace = tmp_path / "runs"
    holder = (
        "import time; from pathlib import Path; from search.workspace import Workspace\n"
        f"with Workspace.at(Path({str(workspace)!r})).lock(): print('held', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", holder], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        done = candor("search", "joint", "--workspace", str(workspace))
        process.kill()
    assert (done.returncode, "postgresql+psycopg://" in done.stderr) == (2, True)


def test_an_unwritable_workspace_is_refused() -> None:
    """The sentence names the folder and the option."""
    done = candor_here("search", "joint", "--workspace", "/proc/nowhere")
    assert (done.returncode, "--workspace" in done.stderr) == (2, True)


@pytest.mark.slow
def test_the_coordinator_never_loads_keras() -> None:
    """Whatever the command line imports to run a study, Keras and TensorFlow are not among it."""
    program = (
        "import sys, reports\n"
        "import experiments.workflows.study.search, experiments.workflows.console.progress\n"
        "import experiments.schema.experiment\n"
        "print(sorted({'keras', 'tensorflow', 'jax', 'torch', 'keras_tuner'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_lists_the_commands() -> None:
    """`candor --help` needs nothing heavy."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "experiments", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(command in done.stdout for command in ("search", "report", "unseal", "list", "ui"))
    assert not any(name in done.stderr for name in ("pandas", "mlflow", "optuna", "numpy"))
    assert os.environ.get("CANDOR_WORKSPACE") is None


OVERFLOWS = """
import keras
from keras import layers


def build(hp, input_shape, num_classes):
    images = keras.Input(input_shape)
    x = layers.Flatten()(layers.Rescaling(1e30)(layers.Rescaling(1e30)(images)))
    return keras.Model(images, layers.Dense(num_classes, hp.Choice("ends", ["softmax"]))(x))
"""


@pytest.mark.trains
def test_a_study_of_which_nothing_could_be_trained_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is over, has a report, no verdict, and no look at the validation images was taken."""
    (tmp_path / "overflows.py").write_text(OVERFLOWS)
    file = tmp_path / "hopeless.toml"
    table = (
        '[protocol]\ntrials = 1\nepochs = 1\n[data]\nsource = "synthetic:train=100,validation=50,test=50"\n'
    )
    file.write_text(f'question = "Does it learn?"\nspace = "overflows:build"\n{table}')
    monkeypatch.setenv("PYTHONPATH", os.getcwd())  # noqa: PTH109 - where candor is
    monkeypatch.chdir(tmp_path)
    done = candor("search", str(file), "--workspace", str(tmp_path / "runs"))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "so there is no verdict (1 diverged). The first cause: the loss is not finite" in done.stdout
    assert "registered" not in done.stdout
    assert (tmp_path / "runs" / "reports" / "hopeless" / "index.html").exists()
    client = MlflowClient(f"sqlite:///{tmp_path / 'runs' / 'mlflow.db'}")
    found = client.get_experiment_by_name("hopeless")
    assert found is not None
    (study,) = client.search_runs([found.experiment_id], f"tags.`{names.KIND}` = '{names.STUDY_KIND}'")
    assert names.LOOKS not in study.data.tags


@pytest.mark.slow
def test_an_older_study_that_goes_on_is_the_one_that_is_concluded(tmp_path: Path) -> None:
    """Its verdict is its own, its look is counted, and the report shows it; the newer one stays as it was."""
    grid = tmp_path / "small.toml"
    grid.write_text(GRID)
    place = ["--workspace", str(tmp_path / "runs")]
    for changed in ((), ("--epochs", "2"), ("--seeds", "2")):
        done = candor("search", str(grid), *place, *changed)
        assert done.returncode == 0, done.stderr
    looks = {}
    for run in _runs(tmp_path / "runs"):
        if run.data.tags[names.KIND] == names.STUDY_KIND:
            looks[run.data.params["epochs"]] = run.data.tags[names.LOOKS]
    assert looks == {"1": "2", "2": "1"}
    assert "Nothing is claimed with 2 seeds" in done.stdout
    rows = pd.read_csv(tmp_path / "runs" / "reports" / "small" / "comparison.csv")
    assert list(rows.n_seeds) == [2, 2]
