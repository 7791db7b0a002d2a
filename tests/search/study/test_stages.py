"""Stages on a real Optuna storage: exact totals, equal shares, nothing drawn twice, nothing lost."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from search.execution.messages import (
    Built,
    Decision,
    Epoch,
    EvaluationResult,
)
from search.study.optuna.storage import open_storage
from search.study.planning.config import StudyConfig
from search.study.planning.leaders import Leader
from search.study.stages.confirm import Confirm
from search.study.stages.evaluation import ActiveEvaluation
from search.study.stages.explore import DUPLICATES_IN_A_ROW, INFEASIBLE_PER_TRIAL, Explore
from search.study.stages.refit import Refit
from search.study.stages.stage import Wait
from search.study.study import Study
from search.tracking import names
from search.workspace import Workspace
from spaces.domains import Categorical, Integer, Real
from spaces.errors import UserError

ConfigFor = Callable[..., StudyConfig]


def _built(fingerprint: str, family: str = "plain_cnn") -> Built:
    return Built(family, "", f"{family} {fingerprint}", {}, {}, {}, fingerprint, fingerprint, 1000, 2000)


def _explore(config: StudyConfig, url: str, folder: Path) -> Explore:
    return Explore(config, open_storage(url), folder, f"{config.experiment}/explore")


def _work(stage: Any, worker: int = 0) -> ActiveEvaluation:
    evaluation = stage.claim(worker)
    assert isinstance(evaluation, ActiveEvaluation)
    return evaluation


def _complete(
    stage: Explore, evaluation: ActiveEvaluation, score: float, fingerprint: str, family: str = "plain_cnn"
) -> None:
    assert stage.built(evaluation, _built(fingerprint, family)) == Decision.CONTINUE
    stage.finish(evaluation, EvaluationResult(names.COMPLETE, score=score))


def test_explore_makes_exactly_as_many_trials_as_asked_from_many_threads(
    config_for: ConfigFor, storage_url: str, tmp_path: Path
) -> None:
    """Eight threads that claim at once share a total of ten, whatever the order."""
    stage = _explore(config_for(trials=10), storage_url, tmp_path)
    claimed: list[int] = []

    def slot(worker: int) -> None:
        while (evaluation := stage.claim(worker)) is not None:
            if isinstance(evaluation, ActiveEvaluation):
                claimed.append(evaluation.slot)
                stage.suggest(evaluation, "kernels", Integer(8, 512))
                _complete(stage, evaluation, 0.1, f"candidate-{evaluation.slot}")

    threads = [threading.Thread(target=slot, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == list(range(10))
    assert (stage.counted(), stage.ended_because) == (10, "all 10 trials are done")


def test_each_family_gets_an_equal_share(config_for: ConfigFor, storage_url: str, tmp_path: Path) -> None:
    """The family is assigned in turn, whatever it scored: luck early on decides nothing."""
    config = config_for({"space": ("plain_cnn", "inception")}, trials=6)
    stage = _explore(config, storage_url, tmp_path)
    shares: Counter[str] = Counter()
    for number in range(6):
        evaluation = _work(stage)
        family = str(evaluation.task.fix["family"])
        shares[family] += 1
        _complete(stage, evaluation, 0.9 if family == "inception" else 0.1, f"candidate-{number}", family)
    assert shares == {"plain_cnn": 3, "inception": 3}


def test_an_arm_that_is_a_variant_has_its_share_and_is_adopted_as_it_is(
    config_for: ConfigFor, storage_url: str, tmp_path: Path
) -> None:
    """What was built of it is of another name, the family's: that changes neither its turn nor its draws."""
    config = config_for({"space": ("plain_cnn", "resnet.resnet18")}, trials=4)
    stage = _explore(config, storage_url, tmp_path)
    arms = []
    for number in range(3):
        evaluation = _work(stage)
        arms.append(evaluation.task.fix["family"])
        _complete(stage, evaluation, 0.5, f"candidate-{number}", "resnet")
    assert arms == ["plain_cnn", "resnet.resnet18", "plain_cnn"]
    stage.built(_work(stage), _built("left behind", "resnet"))
    adopted = _work(_explore(config, storage_url, tmp_path))
    assert (adopted.slot, adopted.task.fix["family"]) == (3, "resnet.resnet18")


def test_an_arm_that_has_nothing_to_give_leaves_the_trials_to_the_others(
    config_for: ConfigFor, storage_url: str, tmp_path: Path
) -> None:
    """All of it is above the budget: it is drawn from so often, and no more; the total is reached."""
    config = config_for({"space": ("plain_cnn", "inception")}, trials=4)
    stage = _explore(config, storage_url, tmp_path)
    trained = 0
    while isinstance(evaluation := stage.claim(0), ActiveEvaluation):
        if evaluation.task.fix["family"] == "inception":
            stage.finish(
                evaluation, EvaluationResult(names.INFEASIBLE, "too large", violations={"budget": 0.5})
            )
        else:
            _complete(stage, evaluation, 0.5, f"candidate-{trained}")
            trained += 1
    assert (trained, stage.ended_because) == (4, "all 4 trials are done")
    assert len(stage.trials()) <= 4 + INFEASIBLE_PER_TRIAL * 2


def test_a_space_of_arms_ends_when_none_has_anything_left(
    config_for: ConfigFor, storage_url: str, tmp_path: Path
) -> None:
    """And says of each why."""
    config = config_for({"space": ("plain_cnn", "inception")}, trials=2)
    stage = _explore(config, storage_url, tmp_path)
    while isinstance(evaluation := stage.claim(0), ActiveEvaluation):
        stage.finish(evaluation, EvaluationResult(names.INFEASIBLE, "too large", violations={"budget": 0.5}))
    assert stage.ended_because == (
        "plain_cnn: 20 draws were infeasible: the budget is too small for the space; "
        "inception: 20 draws were infeasible: the budget is too small for the space"
    )


def test_a_baseline_is_never_pruned_and_never_a_duplicate(
    config_for: ConfigFor, storage_url: str, tmp_path: Path
) -> None:
    """It is confirmed whatever it scores, so it is trained to its end."""
    options = {"n_startup_trials": 0, "n_warmup_steps": 0}
    config = config_for({"baseline": {"conv_stages": 2}}, pruner_options=options)
    stage = _explore(config, storage_url, tmp_path)
    baseline, drawn, worse = (_work(stage, n) for n in range(3))
    assert stage.built(drawn, _built("same")) == Decision.CONTINUE
    assert stage.built(baseline, _built("same")) == Decision.CONTINUE
    metrics = {names.EPOCH_SECONDS: 1.0, "monitor_accuracy": 0.9}
    stage.epoch(drawn, Epoch(1, metrics))
    stage.finish(drawn, EvaluationResult(names.COMPLETE, score=0.9))
    poor = Epoch(1, {**metrics, "monitor_accuracy": 0.1})
    assert (stage.epoch(worse, poor), stage.epoch(baseline, poor)) == (Decision.PRUNE, Decision.CONTINUE)


def test_a_sampler_of_shared_names_refuses_a_baseline_that_has_none(
    config_for: ConfigFor, storage_url: str, tmp_path: Path
) -> None:
    """It would draw at random, and not say so."""
    config = config_for({"baseline": {"variant": "plain_cnn.published_2"}}, sampler="qmc")
    stage = _explore(config, storage_url, tmp_path)
    with pytest.raises(UserError, match='"qmc" would draw at random, since the baseline is a variant'):
        stage.built(_work(stage), _built("baseline"))


def test_hours_count_what_was_trained_and_leave_confirm_its_share(
    config_for: ConfigFor, storage_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time in which nothing ran is nobody's; half an hour of one of two workers is a quarter."""
    monkeypatch.setattr("search.study.stages.stage.cores", lambda: 2)
    config = config_for(trials=9, hours=1.0, leaders=1, seeds=1)
    study = Study(config, open_storage(storage_url), Workspace.at(tmp_path))
    assert study.explore is not None
    study.explore.workers = 2
    for number, minutes in enumerate((15, 30)):
        evaluation = _work(study.explore)
        evaluation.trained_seconds = 60.0 * minutes
        _complete(study.explore, evaluation, 0.5, f"candidate-{number}")
    # 30 minutes of wall time are gone; a leader and the baseline may take 15 each.
    assert study.explore.claim(0) is None
    assert study.explore.ended_because == "the hours left are needed to confirm the leaders"


def test_the_baseline_comes_first_with_its_own_recipe(
    config_for: ConfigFor, storage_url: str, tmp_path: Path
) -> None:
    """Slot 0 is the user's present candidate: fixed, and marked."""
    baseline = {"variant": "plain_cnn.published_2", "recipe.batch_size": 32}
    stage = _explore(config_for({"baseline": baseline}), storage_url, tmp_path)
    first, second = _work(stage, 0), _work(stage, 1)
    assert (first.slot, first.baseline, first.task.space) == (0, True, "plain_cnn.published_2")
    assert (first.task.recipe, second.baseline) == ({"batch_size": 32}, False)


def test_what_a_baseline_does_not_name_stands_at_its_default(
    config_for: ConfigFor, storage_url: str, tmp_path: Path
) -> None:
    """It is what the user has today: nothing of it is drawn."""
    stage = _explore(config_for({"baseline": {"conv_stages": 3}}), storage_url, tmp_path)
    first, second = _work(stage, 0), _work(stage, 1)
    domain = Real(0.0, 1.0, default=0.25)
    assert (first.baseline, stage.suggest(first, "dropout", domain)) == (True, 0.25)
    assert (second.baseline, stage.suggest(second, "dropout", domain)) != (False, 0.25)


def test_the_sampler_learns_from_a_baseline_as_from_its_own_draws(
    config_for: ConfigFor, storage_url: str, tmp_path: Path
) -> None:
    """Its values and its defaults are the trial's, without those that are fixed; all of them, or none."""

    def told(neurons: int, url: str) -> Any:
        stage = _explore(config_for(_standing(neurons)), url, tmp_path)
        evaluation = _work(stage)
        stage.suggest(evaluation, "dropout", Real(0.0, 0.5, step=0.1, default=0.2))
        for _ in range(2):  # a machine that dies here leaves it to the next, which tells it all again
            assert stage.built(evaluation, _standing_built(neurons)) == Decision.CONTINUE
        stage.finish(evaluation, EvaluationResult(names.COMPLETE, score=0.5))
        return stage.trials()[0].params

    known = {"dropout": 0.2, "conv_stages": 3, "neurons_1": 64, "recipe.batch_size": 64}
    assert told(64, storage_url) == known
    assert told(48, f"{storage_url}.outside") == {}


def _standing(neurons: int) -> dict[str, Any]:
    return {
        "fix": {"head": "average"},
        "baseline": {"head": "average", "conv_stages": 3, "neurons_1": neurons},
        "recipe_domains": {"batch_size": Categorical((32, 64)).to_dict()},
    }


def _standing_built(neurons: int) -> Built:
    domains = {
        "head": (Categorical(("flatten", "average")), "average"),
        "conv_stages": (Integer(2, 5), 3),
        "neurons_1": (Categorical((64, 128)), neurons),
    }
    stood = {n: {"name": n, "domain": d.to_dict(), "value": v} for n, (d, v) in domains.items()}
    return replace(_built("baseline"), stood=stood, recipe={"batch_size": 64})


def test_what_a_dead_coordinator_left_running_is_adopted_with_its_draws(
    config_for: ConfigFor, storage_url: str, tmp_path: Path
) -> None:
    """A new coordinator goes on with the same trial: number, key and values stay."""
    domain = Real(1e-4, 1e-1, log=True)
    died = _work(_explore(config_for(trials=2), storage_url, tmp_path))
    stage = _explore(config_for(trials=2), storage_url, tmp_path)
    value = stage.suggest(died, "rate", domain)
    adopted = _work(_explore(config_for(trials=2), storage_url, tmp_path))
    assert (adopted.key, adopted.trial.number) == (died.key, died.trial.number)
    assert stage.suggest(adopted, "rate", domain) == value
    assert len(stage.trials()) == 1


def test_the_first_trial_has_the_cores_of_two_workers_and_one_of_them_waits(
    config_for: ConfigFor, storage_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So does whoever adopts it; once it is over, everybody has a share, and it took all of the time."""
    monkeypatch.setattr("search.study.stages.stage.cores", lambda: 4)
    stage = _explore(config_for(), storage_url, tmp_path)
    stage.workers = 3
    first, second = _work(stage), _work(stage, 1)
    assert (first.task.threads, second.task.threads) == (2, 1)
    assert stage.claim(2) is Wait
    adopted = _work(_explore(config_for(), storage_url, tmp_path))
    assert (adopted.slot, adopted.task.threads) == (0, 2)
    first.trained_seconds = second.trained_seconds = 30.0
    _complete(stage, first, 0.5, "first")
    _complete(stage, second, 0.5, "second")
    assert [evaluation.task.threads for evaluation in (_work(stage, n) for n in range(3))] == [1, 1, 1]
    assert [trial.user_attrs["wall_seconds"] for trial in stage.trials(TrialState.COMPLETE)] == [20.0, 10.0]


@pytest.mark.parametrize(
    ("workers", "cores", "gpus", "protocol"),
    [(1, 4, (), {}), (2, 1, (), {}), (2, 4, ("0",), {}), (2, 4, (), {"max_seconds": 60.0})],
    ids=["one worker", "one core", "a GPU", "a limit in seconds"],
)
def test_the_first_trial_has_no_more_than_others_where_that_would_do_no_good(
    config_for: ConfigFor,
    storage_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
    cores: int,
    gpus: tuple[str, ...],
    protocol: dict[str, Any],
) -> None:
    """Nobody waits then."""
    monkeypatch.setattr("search.study.stages.stage.cores", lambda: cores)
    monkeypatch.setattr("search.study.stages.stage.gpus", lambda: gpus)
    stage = _explore(config_for(**protocol), storage_url, tmp_path)
    stage.workers = workers
    assert [_work(stage, n).task.threads for n in range(2)] == [1, 1]


def test_the_samplers_seed_decides_what_is_drawn(
    config_for: ConfigFor, storage_url: str, tmp_path: Path
) -> None:
    """One seed draws the same again in a storage of its own; another seed draws something else."""

    def drawn(seed: int, copy: int) -> Any:
        config = config_for(sampler_options={"seed": seed})
        stage = _explore(config, f"{storage_url}.{seed}.{copy}", tmp_path)
        return stage.suggest(_work(stage), "rate", Real(0.0, 1.0))

    first = drawn(3, 0)
    assert drawn(3, 1) == first
    assert drawn(4, 0) != first


def test_a_candidate_drawn_twice_is_told_its_known_value_and_not_counted(
    config_for: ConfigFor, storage_url: str, tmp_path: Path
) -> None:
    """A duplicate costs no training; its sampler hears the value, and the total waits for another."""
    stage = _explore(config_for(trials=2), storage_url, tmp_path)
    _complete(stage, _work(stage), 0.75, "same")
    again = _work(stage)
    assert stage.built(again, _built("same")) == Decision.SKIP
    assert again.known is not None
    stage.finish(again, again.known)
    assert (again.known.state, stage.trials()[-1].value, stage.counted()) == (names.DUPLICATE, 0.75, 1)


def test_a_used_up_space_ends_the_stage(config_for: ConfigFor, storage_url: str, tmp_path: Path) -> None:
    """Twenty duplicates in a row say that nothing new is left to draw."""
    stage = _explore(config_for(trials=5), storage_url, tmp_path)
    _complete(stage, _work(stage), 0.5, "only")
    for _ in range(DUPLICATES_IN_A_ROW):
        evaluation = _work(stage)
        stage.built(evaluation, _built("only"))
        assert evaluation.known is not None
        stage.finish(evaluation, evaluation.known)
    assert stage.claim(0) is None
    assert "used up" in stage.ended_because


def test_an_infeasible_draw_is_a_constraint_and_not_a_trial(
    config_for: ConfigFor, storage_url: str, tmp_path: Path
) -> None:
    """The sampler learns of the violation; the total does not shrink."""
    stage = _explore(config_for(trials=1), storage_url, tmp_path)
    evaluation = _work(stage)
    stage.finish(evaluation, EvaluationResult(names.INFEASIBLE, "too large", violations={"budget": 0.5}))
    frozen = stage.trials()[0]
    assert (frozen.state, stage.counted()) == (TrialState.PRUNED, 0)
    assert frozen.constraints == {"budget": 0.5}
    assert isinstance(stage.claim(0), ActiveEvaluation)


def test_a_slot_waits_while_the_last_trials_run(
    config_for: ConfigFor, storage_url: str, tmp_path: Path
) -> None:
    """The total may still change while something runs, so a free slot waits and does not leave."""
    stage = _explore(config_for(trials=1), storage_url, tmp_path)
    evaluation = _work(stage)
    assert stage.claim(1) is Wait
    stage.finish(evaluation, EvaluationResult(names.PRUNED))
    assert stage.claim(1) is None


def test_a_stopped_evaluation_stays_running(config_for: ConfigFor, storage_url: str, tmp_path: Path) -> None:
    """Ctrl-C tells Optuna nothing: the next coordinator adopts what was stopped."""
    stage = _explore(config_for(), storage_url, tmp_path)
    stage.finish(_work(stage), EvaluationResult("stopped"))
    assert [t.state for t in stage.trials()] == [TrialState.RUNNING]


def test_epochs_told_again_change_nothing(config_for: ConfigFor, storage_url: str, tmp_path: Path) -> None:
    """A resumed evaluation repeats its first epochs; times and values stay those of the first telling."""
    stage = _explore(config_for(epochs=8), storage_url, tmp_path)
    evaluation = _work(stage)
    times = []
    for attempt in range(2):
        evaluation.trained_seconds = 0.0
        for epoch in (1, 2):
            metrics = {"monitor_accuracy": 0.1 * epoch, "epoch_seconds": 2.0}
            assert stage.epoch(evaluation, Epoch(epoch, metrics)) == Decision.CONTINUE
            times.append((attempt, epoch, evaluation.time))
    assert [time for _, _, time in times[:2]] == [time for _, _, time in times[2:]]
    assert stage.trials()[0].intermediate_values == {1: 0.1, 2: 0.2}


def test_a_hopeless_trial_is_pruned_on_monitor(
    config_for: ConfigFor, storage_url: str, tmp_path: Path
) -> None:
    """After the warm-up the median of the others is the bar."""
    stage = _explore(config_for(trials=9, epochs=8), storage_url, tmp_path)
    answers = []
    for number, level in enumerate([0.5, 0.6, 0.55, 0.58, 0.1]):
        evaluation = _work(stage)
        for epoch in range(1, 5):
            answers.append(
                stage.epoch(evaluation, Epoch(epoch, {"monitor_accuracy": level, "epoch_seconds": 1.0}))
            )
        _complete(stage, evaluation, level, f"candidate-{number}")
    assert set(answers[:16]) == {Decision.CONTINUE}
    assert answers[-1] == Decision.PRUNE


def test_confirm_gives_every_leader_the_same_seeds_once(
    config_for: ConfigFor, storage_url: str, tmp_path: Path
) -> None:
    """Planning twice plans once; a further seed or leader adds only what is missing."""
    leaders = [
        Leader(4, {"family": "plain_cnn"}, baseline=False),
        Leader(0, {"family": "plain_cnn"}, baseline=True),
    ]

    def planned(seeds: int, who: list[Leader]) -> Counter[tuple[int, int]]:
        stage = Confirm(config_for(seeds=seeds), open_storage(storage_url), tmp_path, "small/confirm")
        stage.plan(who)
        stage.plan(who)
        return Counter((t.user_attrs["slot"], t.user_attrs["seed"]) for t in stage.trials())

    assert planned(2, leaders[:1]) == {(4, 1): 1, (4, 2): 1}
    assert planned(3, leaders) == {(slot, seed): 1 for slot in (0, 4) for seed in (1, 2, 3)}


def test_fewer_seeds_are_fewer_and_more_are_more_again(
    config_for: ConfigFor, storage_url: str, tmp_path: Path
) -> None:
    """What waits for a seed that is not wanted any more is not begun; asked for again, it is."""
    leader = [Leader(4, {"family": "plain_cnn"}, baseline=False)]

    def planned(seeds: int) -> Confirm:
        stage = Confirm(config_for(seeds=seeds), open_storage(storage_url), tmp_path, "small/confirm")
        stage.plan(leader)
        return stage

    stage = planned(5)
    stage.finish(_work(stage), EvaluationResult(names.COMPLETE, score=0.5))
    stage = planned(2)
    assert (stage.counted(), stage.total()) == (1, 2)
    stage.finish(_work(stage), EvaluationResult(names.COMPLETE, score=0.5))
    assert (stage.claim(0), stage.counted()) == (None, 2)
    assert [_work(planned(3)).seed, planned(3).total()] == [3, 3]


def test_a_final_training_that_failed_is_tried_again(
    config_for: ConfigFor, storage_url: str, tmp_path: Path
) -> None:
    """With a key of its own; what is complete is not."""
    stage = Refit(config_for(), open_storage(storage_url), tmp_path, "small/final")
    asked = ({"family": "plain_cnn"}, "fingerprint", [0.1, 0.01])
    stage.plan(*asked)
    first = _work(stage)
    stage.finish(first, EvaluationResult(names.FAILED, "out of luck"))
    stage.plan(*asked)
    second = _work(stage)
    stage.finish(second, EvaluationResult(names.COMPLETE, score=0.5))
    stage.plan(*asked)
    assert (stage.claim(0), second.key != first.key) == (None, True)
    assert stage.key_of(*asked[1:]) == second.key


def test_a_final_training_is_alone_and_has_the_cores_of_two_workers(
    config_for: ConfigFor, storage_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.study.stages.stage.cores", lambda: 4)
    stage = Refit(config_for(), open_storage(storage_url), tmp_path, "small/final")
    stage.plan({"family": "plain_cnn"}, "alone", [0.1])
    stage.plan({"family": "plain_cnn"}, "one of two", [0.1], workers=2)
    assert [_work(stage).task.threads for _ in range(2)] == [1, 2]


def test_confirm_draws_the_monitor_split_by_the_seed(
    config_for: ConfigFor, storage_url: str, tmp_path: Path
) -> None:
    """Seeds vary the split too; validation is measured; no candidate is drawn."""
    stage = Confirm(config_for(seeds=2), open_storage(storage_url), tmp_path, "small/confirm")
    stage.plan([Leader(3, {"family": "plain_cnn"}, baseline=False)])
    tasks = [_work(stage, n).task for n in range(2)]
    assert [(t.seed, t.monitor_seed, t.validate) for t in tasks] == [(1, 1, True), (2, 2, True)]
    assert tasks[0].candidate == {"family": "plain_cnn"}


def test_a_grid_confirms_every_cell_and_leaves_open_what_it_does_not_name_at_its_default(
    config_for: ConfigFor, storage_url: str, tmp_path: Path
) -> None:
    """Cells are fixed; a hyperparameter that no cell names stands at its default in all of them."""
    cells = ({"conv_stages": 2}, {"conv_stages": 3, "recipe.batch_size": 16})
    config = config_for({"cells": cells}, seeds=1)
    stage = Confirm(config, open_storage(storage_url), tmp_path, "small/confirm")
    stage.plan_cells()
    first, second = _work(stage, 0), _work(stage, 1)
    assert (dict(first.task.fix), dict(second.task.fix)) == ({"conv_stages": 2}, {"conv_stages": 3})
    assert second.task.recipe["batch_size"] == 16
    assert stage.suggest(first, "head", Categorical(("flatten", "average"), "average")) == "average"


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsga2"])
@pytest.mark.parametrize("stop_after", [1, 5, 8])
def test_a_search_that_was_killed_draws_what_an_undisturbed_one_would_have(
    config_for: ConfigFor, tmp_path: Path, sampler: str, stop_after: int
) -> None:
    """With one worker and a fixed seed; also where it was killed while a candidate was trained."""

    def draw(folder: Path, opened: Explore | None = None, count: int = 10) -> Explore:
        folder.mkdir(exist_ok=True)
        url = f"sqlite:///{folder / 'studies.db'}"
        config = config_for(trials=10, sampler=sampler, sampler_options={"seed": 3}, pruner="none")
        stage = opened or Explore(config, open_storage(url), folder, "small/explore")
        for _ in range(count):
            evaluation = _work(stage)
            kernels = stage.suggest(evaluation, "kernels", Integer(8, 512))
            rate = stage.suggest(evaluation, "rate", Real(0.0, 1.0, default=0.5))
            _complete(stage, evaluation, float(kernels) / 512 + float(rate), f"candidate-{evaluation.slot}")
        return stage

    undisturbed = draw(tmp_path / "undisturbed")
    killed = draw(tmp_path / "killed", count=stop_after)
    begun = _work(killed)
    for name, domain in (("kernels", Integer(8, 512)), ("rate", Real(0.0, 1.0, default=0.5))):
        killed.suggest(begun, name, domain)
    resumed = draw(tmp_path / "killed", count=10 - stop_after)
    assert [trial.params for trial in resumed.trials()] == [trial.params for trial in undisturbed.trials()]
    assert len({str(trial.params) for trial in undisturbed.trials()}) > 5
