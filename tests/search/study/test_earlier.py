"""A search that begins with the leads of an earlier study, on a real Optuna storage."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.workflows.study.context import RunContext
from experiments.workflows.study.dry_run import _beginning
from search.execution.messages import Built, Decision, EvaluationResult
from search.study.optuna.storage import open_storage
from search.study.planning.config import StudyConfig
from search.study.planning.warm_start import identities
from search.study.stages.evaluation import ActiveEvaluation
from search.study.stages.explore import Explore
from search.study.study import Study
from search.tracking import names
from search.workspace import Workspace
from spaces.domains import (
    Categorical,
    Domain,
    Integer,
    Real,
)
from spaces.errors import UserError

ConfigFor = Callable[..., StudyConfig]
#: What the networks of these tests are drawn from.
DOMAINS: Mapping[str, Domain] = {
    "stages": Integer(1, 5),
    "norm": Categorical((True, False), True),
    "recipe.learning_rate": Real(1e-4, 1e-1, log=True),
}


@pytest.fixture
def study(config_for: ConfigFor, storage_url: str, tmp_path: Path) -> Callable[..., Study]:
    """A study of an experiment, as a new process opens it."""

    def opened(
        experiment: str, config: dict[str, Any] | None = None, *, resplit: bool = False, **protocol: Any
    ) -> Study:
        identity = {"name": experiment, **(config or {}), **protocol}
        fields = {"experiment": experiment, "identity": identity, **(config or {})}
        made = config_for(fields, **protocol)
        if resplit:
            made = replace(made, data=replace(made.data, split_digest="0" * 64))
        return Study(made, open_storage(storage_url), Workspace.at(tmp_path))

    return opened


def _work(stage: Explore | None) -> ActiveEvaluation:
    assert stage is not None
    evaluation = stage.claim(0)
    assert isinstance(evaluation, ActiveEvaluation)
    return evaluation


def _drawn(
    stage: Explore | None, evaluation: ActiveEvaluation, domains: Mapping[str, Domain] = DOMAINS
) -> dict[str, Any]:
    assert stage is not None
    return {name: stage.suggest(evaluation, name, domain) for name, domain in domains.items()}


def _explored(
    study: Study, *scores: float, domains: Mapping[str, Domain] = DOMAINS, parameters: int = 1000
) -> list[dict[str, Any]]:
    """What was drawn for candidates that then had these scores; the first of them as large as it says."""
    assert study.explore is not None
    drawn = []
    for number, score in enumerate(scores):
        evaluation = _work(study.explore)
        drawn.append(_drawn(study.explore, evaluation, domains))
        own = f"{evaluation.slot} {drawn[-1]}"
        variant = str(evaluation.task.fix.get("family", "")).partition(".")[2]
        size = 1000 if number else parameters
        built = Built("plain_cnn", variant, own, {}, {}, {}, own, own, size, 2 * size)
        assert study.explore.built(evaluation, built) == Decision.CONTINUE
        study.explore.finish(evaluation, EvaluationResult(names.COMPLETE, score=score))
    return drawn


def test_a_warm_search_begins_with_the_leads_of_the_earlier_one_best_first(
    study: Callable[..., Study],
) -> None:
    """As many as it has leaders; then it draws, and what it was given teaches its sampler."""
    old = _explored(study("old"), 0.3, 0.5, 0.4)
    new = study("new", warm_start="old", leaders=2, trials=4)
    evaluations = [_work(new.explore) for _ in range(3)]
    values = [_drawn(new.explore, evaluation) for evaluation in evaluations]
    assert values[:2] == [old[1], old[2]]
    assert values[2] not in old
    assert new.explore is not None
    assert [trial.params for trial in new.explore.trials()] == values
    source = new.explore.trials()[0].user_attrs["from"]
    assert source.endswith("/1")
    assert source.partition("/")[0] in [study for study, _ in identities(new._storage, "old")]


def test_a_dry_run_says_what_it_would_begin_with(study: Callable[..., Study], tmp_path: Path) -> None:
    """Or that there is nothing, and makes no storage to look."""
    _explored(study("old"), 0.3, 0.5, 0.4)
    config = study("new", warm_start="old", leaders=2).config
    (line,) = _beginning(config, RunContext(Workspace.at(tmp_path)))
    assert line.startswith("begins with 2 of study ")
    elsewhere = Workspace.at(tmp_path / "elsewhere")
    with pytest.raises(UserError, match='"old": this storage holds no other study of that experiment'):
        _beginning(config, RunContext(elsewhere))
    assert list(elsewhere.folder.iterdir()) == []


def test_the_baseline_comes_before_the_leads(study: Callable[..., Study]) -> None:
    old = _explored(study("old"), 0.5)
    new = study("new", {"baseline": {"conv_stages": 2}}, warm_start="old")
    baseline, lead = _work(new.explore), _work(new.explore)
    assert (baseline.baseline, lead.baseline) == (True, False)
    assert _drawn(new.explore, lead) == old[0]


def test_what_the_new_space_has_not_is_drawn(study: Callable[..., Study]) -> None:
    old = _explored(study("old"), 0.5)[0]
    new = study("new", warm_start="old")
    narrower = {**DOMAINS, "stages": Integer(6, 9), "neurons": Integer(8, 64)}
    values = _drawn(new.explore, _work(new.explore), narrower)
    assert (values["norm"], values["recipe.learning_rate"]) == (old["norm"], old["recipe.learning_rate"])
    assert 6 <= values["stages"] <= 9
    assert 8 <= values["neurons"] <= 64


def test_a_loss_is_better_when_it_is_smaller(study: Callable[..., Study]) -> None:
    old = _explored(study("old", objective="loss"), 0.9, 0.2)
    assert _drawn((new := study("new", warm_start="old")).explore, _work(new.explore)) == old[1]


def test_a_search_goes_on_with_the_leads_that_it_began_with(study: Callable[..., Study]) -> None:
    """Whatever the earlier study has found meanwhile, and whoever goes on."""
    old = _explored(study("old", trials=9), 0.3, 0.5)
    first = study("new", warm_start="old")
    _drawn(first.explore, _work(first.explore))
    _explored(study("old", trials=9), 0.9)
    again = study("new", warm_start="old")
    assert _drawn(again.explore, _work(again.explore)) == old[1]  # adopted, with its draws
    assert _drawn(again.explore, _work(again.explore)) == old[0]


def test_an_experiment_may_begin_with_its_own_leads_on_other_images(study: Callable[..., Study]) -> None:
    """Its newest other study counts; those of experiments whose names go on do not."""
    _explored(study("mine", {"fix": {"of": "the oldest"}}), 0.9)
    old = _explored(study("mine"), 0.5)
    _explored(study("mine-too"), 0.9)
    new = study("mine", warm_start="mine")
    assert _drawn(new.explore, _work(new.explore)) == old[0]


def test_names_behind_a_choice_of_families_are_the_same_hyperparameters(study: Callable[..., Study]) -> None:
    """Over several families they are called "family=plain_cnn/stages"; the arm of a lead is its family's."""
    several = {"space": ("inception", "plain_cnn")}
    old = _explored(study("old"), 0.5)[0]
    new = study("new", several, warm_start="old")
    evaluation = _work(new.explore)
    assert evaluation.task.fix["family"] == "plain_cnn"
    inner = {f"family=plain_cnn/{name}": domain for name, domain in DOMAINS.items()}
    assert list(_drawn(new.explore, evaluation, inner).values()) == list(old.values())


def test_a_lead_goes_to_its_own_arm_and_not_to_another_of_its_family(study: Callable[..., Study]) -> None:
    """A network that was drawn from the family is no variant, and a variant has no values to draw it by."""
    space = {"space": ("plain_cnn.published_1", "plain_cnn", "plain_cnn.published_2")}
    _explored(study("old", space), 0.1, 0.9, 0.5)
    new = study("new", space, warm_start="old")
    assert [_work(new.explore).task.fix["family"] for _ in range(2)] == ["plain_cnn", "plain_cnn.published_2"]
    family = study("one", {"space": ("inception", "plain_cnn")}, warm_start="old", leaders=9)
    assert family.explore is not None
    assert [lead["arm"] for lead in family.explore.warm_start] == ["plain_cnn"]


def test_hyperparameters_of_one_last_name_are_not_confused(study: Callable[..., Study]) -> None:
    widths = {f"block{n}/filters": Integer(8, 64) for n in (1, 2)}
    old = _explored(study("old"), 0.5, domains=widths)[0]
    new = study("new", {"space": ("plain_cnn", "inception")}, warm_start="old")
    prefixed = {f"family=plain_cnn/{name}": domain for name, domain in widths.items()}
    more = {**prefixed, "family=plain_cnn/block3/filters": Integer(100, 900)}
    values = _drawn(new.explore, _work(new.explore), more)
    assert list(values.values())[:2] == list(old.values())
    assert values["family=plain_cnn/block3/filters"] >= 100


def test_what_a_grid_sampler_tried_can_lead(study: Callable[..., Study]) -> None:
    grid = {"domains": {"stages": {"kind": "categorical", "choices": [2, 4]}}}
    tried = study("old", grid, sampler="grid", trials=2)
    _explored(tried, 0.3, 0.6, domains={})
    new = study("new", warm_start="old")
    assert _drawn(new.explore, _work(new.explore))["stages"] == 4


def test_a_baseline_and_what_is_above_the_budget_are_no_leads(study: Callable[..., Study]) -> None:
    """The first is known to everybody, the second cannot be trained here; those behind them move up."""
    old = study("old", {"baseline": {"conv_stages": 2}}, trials=9)
    baseline = _work(old.explore)
    assert old.explore is not None
    own = Built("plain_cnn", "", "base", {}, {}, {}, "base", "base", 1000, 2000)
    old.explore.built(baseline, own)
    old.explore.finish(baseline, EvaluationResult(names.COMPLETE, score=0.99))
    drawn = _explored(old, 0.9, 0.5, parameters=9000)
    new = study("new", warm_start="old", max_parameters=5000)
    assert new.explore is not None
    assert [lead["values"] for lead in new.explore.warm_start] == [drawn[1]]


def test_the_same_images_in_other_splits_are_refused(study: Callable[..., Study]) -> None:
    """What chose there would judge here."""
    _explored(study("old"), 0.5)
    with pytest.raises(UserError, match="same images in other splits"):
        study("new", warm_start="old", resplit=True)


@pytest.mark.parametrize(
    ("config", "warm_start", "sentence"),
    [
        ({}, "nobody", 'protocol.warm_start = "nobody": this storage holds no other study'),
        ({}, "new", 'protocol.warm_start = "new": this storage holds no other study'),
        ({}, "empty", 'protocol.warm_start = "empty": this storage holds no other study'),
        ({"space": "inception"}, "old", "nothing that study .* drew fits this space and its budgets"),
    ],
)
def test_nothing_to_begin_with_is_a_mistake_and_leaves_no_study_behind(
    study: Callable[..., Study], config: dict[str, Any], warm_start: str, sentence: str
) -> None:
    _explored(study("old"), 0.5)
    empty = study("empty")
    before = len(empty._storage.get_all_studies())
    with pytest.raises(UserError, match=sentence):
        study("new", config, warm_start=warm_start)
    assert len(empty._storage.get_all_studies()) == before
