"""The registry: who is champion, who comes after, and how it is taken back; read the same on both ways."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.models import Model

from search.models.classifier import Labels
from search.models.registry.queries import ClientRegistry, SqliteRegistry
from search.models.registry.references import (
    labels_of_run,
    locate,
    named,
    open_model,
)
from search.models.registry.registry import (
    Registered,
    Registration,
    promote,
    register,
    rollback,
    tag_versions,
)
from search.tracking import names
from spaces.errors import UserError
from tests.search.models.conftest import CLASSES

# Of Keras, when saving.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
Store = tuple[str, MlflowClient]


def _register(client: MlflowClient, run_id: str, **texts: str) -> Registered:
    labels = labels_of_run(client, run_id)
    tags = {"val_accuracy": "0.5", names.CANDIDATE: "c1"}
    return register(client, Registration("small", run_id, labels, (24, 20, 1), tags, "What it is.", texts))


def test_the_first_is_champion_and_the_next_challenger(store: Store, run_of: Callable[[str], str]) -> None:
    """Nobody is replaced unasked; promoting and rolling back go through all champions there were."""
    client = store[1]
    assert _register(client, run_of("a")) == Registered("small", "1", "champion", True)
    assert _register(client, run_of("b")) == Registered("small", "2", "challenger", True)
    change = promote(client, "small")
    assert (change.before, change.after) == ("1", "2")
    assert _register(client, run_of("c")) == Registered("small", "3", "challenger", True)
    promote(client, "small")
    assert [rollback(client, "small").after for _ in range(2)] == ["2", "1"]
    assert ClientRegistry(client).aliases() == {"small": {"champion": "1", "challenger": "2"}}
    with pytest.raises(UserError, match="no other champion"):
        rollback(client, "small")
    client.set_registered_model_tag("small", names.FORMER_CHAMPIONS, "8")  # one that was removed since
    with pytest.raises(UserError, match="no other champion"):
        rollback(client, "small")
    client.delete_registered_model_alias("small", "challenger")
    with pytest.raises(UserError, match="no challenger to promote: champion is version 1"):
        promote(client, "small")


def test_registering_again_brings_the_version_up_to_date(store: Store, run_of: Callable[[str], str]) -> None:
    """One run is one version, however often a finished study is looked at; its texts are replaced."""
    client, run = store[1], run_of("a")
    _register(client, run, **{"card.md": "old"})
    again = _register(client, run, **{"card.md": "new"})
    assert again == Registered("small", "1", "champion", False)
    folder = ClientRegistry(client).folder("small", "1")
    assert (folder / "card.md").read_text() == "new"
    assert len(tag_versions(client, "small", {names.CANDIDATE: "c1"}, {"test_accuracy": 0.4})) == 1
    assert client.get_model_version("small", "1").tags["test_accuracy"] == "0.4"


def test_a_version_has_signature_example_and_pinned_requirements(
    store: Store, run_of: Callable[[str], str]
) -> None:
    """And nothing that is pickled: the code is a file, the weights are Keras' own."""
    client = store[1]
    _register(client, run_of("a"))
    folder = ClientRegistry(client).folder("small", "1")
    described = Model.load(folder)
    assert described.signature is not None
    assert described.saved_input_example_info["artifact_path"] == "input_example.json"
    pinned = (folder / "requirements.txt").read_text().splitlines()
    assert {line.partition("==")[0] for line in pinned} >= {"mlflow", "keras", "numpy", "pillow"}
    assert not list(folder.rglob("*.pkl"))


def test_the_direct_reader_and_mlflows_client_agree(store: Store, run_of: Callable[[str], str]) -> None:
    """The quick way to a champion is the same way."""
    tracking, client = store
    for key in "ab":
        _register(client, run_of(key))
    direct, asked = SqliteRegistry.open(tracking), ClientRegistry(client)
    assert direct is not None
    assert direct.aliases() == asked.aliases() == {"small": {"champion": "1", "challenger": "2"}}
    assert direct.folder("small", "2") == asked.folder("small", "2")
    assert direct.folder("small", "9") is None


def test_a_model_opens_by_alias_name_run_and_file(
    store: Store, run_of: Callable[[str], str], network_file: Path
) -> None:
    """With the class names and the temperature that belong to it; a bare file has numbers for names."""
    tracking, client = store
    run = run_of("a")
    _register(client, run)
    for reference in ("champion", "small@champion", "small", run):
        assert locate(reference, tracking).labels == Labels(CLASSES, 1.5)
    assert open_model("champion", tracking).name == "small version 1 (champion)"
    assert open_model(str(network_file), tracking).labels.class_names == ("class 0", "class 1", "class 2")


def test_what_is_missing_is_said_with_what_there_is(store: Store, run_of: Callable[[str], str]) -> None:
    """A missing alias, name, run or file."""
    tracking, client = store
    _register(client, run_of("a"))
    for reference, expected in {
        "challenger": 'no model is called "challenger": there is small@champion',
        "small@best": 'small has no alias "best": there is small@champion',
        "large@champion": 'no model is registered as "large": there is small@champion',
        "f" * 32: "no run f",
        "nowhere.keras": "does not exist",
    }.items():
        with pytest.raises(UserError, match=expected):
            open_model(reference, tracking)


def test_an_alias_that_two_models_have_is_asked_about() -> None:
    """The one that is meant is not guessed."""
    models = {"a": {"champion": "1"}, "b": {"champion": "2"}, "c": {}}
    with pytest.raises(UserError, match="a@champion or b@champion"):
        named(models, "champion")
    assert named(models, "b") == ("b", "champion")
    with pytest.raises(UserError, match="there is none yet"):
        named({}, "champion")


def test_a_store_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    """MLflow would create an empty one and find nothing in it."""
    with pytest.raises(UserError, match="there is no study in"):
        open_model("champion", f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert list(tmp_path.iterdir()) == []
