"""Studies that the storage has already: what each is made of, and which draws led it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.study.optuna.storage import Storage
from search.study.planning.config import StudyConfig
from search.tracking import names
from spaces.errors import UserError

#: The attribute of an Optuna study that keeps what its id is the hash of.
IDENTITY = "identity"
#: That of an explore stage which keeps the draws that it begins with.
WARM_START = "leads"

_STUDY = re.compile(r"[0-9a-f]{12}")  # "joint-small-..." is no study of the experiment "joint"


def identities(storage: Storage, experiment: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The studies of this experiment, oldest first: id and what it is made of."""
    prefix, seen = f"{experiment}-", set()
    for frozen in storage.get_all_studies():
        study = frozen.study_name.removeprefix(prefix).partition("/")[0]
        known = IDENTITY in frozen.user_attrs and study not in seen
        if frozen.study_name.startswith(prefix) and known and _STUDY.fullmatch(study):
            seen.add(study)
            yield study, frozen.user_attrs[IDENTITY]


def warm_start_candidates(storage: Storage, config: StudyConfig, stage: str) -> list[dict[str, Any]]:
    """What `protocol.warm_start` hands to the explore stage of this name, best first, for its plan.

    The candidates that the newest other study of that experiment drew and found best on its monitor images,
    as many as this study has leaders, of those that have an arm here and keep to its budgets: `from` is the
    study and its trial, `arm` one of this space, `values` what was drawn there, by plain name. They stay what
    they were when the stage began. Raises UserError where there are none, and where they were found on the
    same images in other splits: there images that judge here have chosen.
    """
    wanted = config.protocol.warm_start
    if wanted is None:
        return []
    stages = {frozen.study_name: frozen.user_attrs for frozen in storage.get_all_studies()}
    if WARM_START in stages.get(stage, {}):
        return list(stages[stage][WARM_START])
    mistake = f'protocol.warm_start = "{wanted}"'
    for study, identity in reversed(list(identities(storage, wanted))):
        name = f"{wanted}-{study}/explore"
        ranked = _ranked(storage, name) if name in stages and study != config.study_id else []
        if not ranked:
            continue
        data = config.data
        if identity["data"] == data.digest and identity["split"] != data.split_digest:
            raise UserError(
                f"{mistake}: study {study} has the same images in other splits: some that judge here have "
                "chosen there. Take that study's data.seed and protocol.leaks, or other images"
            )
        taken = [lead for trial in ranked if (lead := _lead(trial, study, config))]
        if not taken:
            raise UserError(f"{mistake}: nothing that study {study} drew fits this space and its budgets")
        return taken[: config.protocol.leaders]
    raise nothing_there(config)


def nothing_there(config: StudyConfig) -> UserError:
    """What to say where nothing can be handed over."""
    return UserError(
        f'protocol.warm_start = "{config.protocol.warm_start}": this storage holds no other study of that '
        "experiment that has drawn anything; run it first, or leave the key out"
    )


def plain(path: str) -> str:
    """A hyperparameter's name without the family that it belongs to, where there are several."""
    first, _, rest = path.partition("/")
    return rest if first.startswith("family=") and rest else path


def _ranked(storage: Storage, name: str) -> Sequence[FrozenTrial]:
    """The draws whose candidates were trained to their end, best first. A baseline is no draw."""
    explored = optuna.load_study(study_name=name, storage=storage.cached)
    sign = 1 if explored.directions[0] == optuna.study.StudyDirection.MINIMIZE else -1
    complete = explored.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    drawn = [
        trial
        for trial in complete
        if trial.user_attrs.get("state") == names.COMPLETE and not trial.user_attrs.get("baseline")
    ]
    return sorted(drawn, key=lambda trial: (sign * trial.values[0], trial.number))


def _lead(trial: FrozenTrial, study: str, config: StudyConfig) -> dict[str, Any] | None:
    """What the plan says of it; None where this study cannot train it."""
    candidate, protocol = trial.user_attrs["candidate"], config.protocol
    budgets = (("parameters", protocol.max_parameters), ("macs", protocol.max_macs))
    cell = trial.user_attrs.get("cell", {})  # of a grid, which draws nothing
    arm = _arm(trial.user_attrs.get("arm") or cell.get("family"), candidate, config)
    if arm is None or any(limit is not None and candidate[size] > limit for size, limit in budgets):
        return None
    values = {plain(name): value for name, value in (trial.params or cell).items() if name != "family"}
    return {"from": f"{study}/{trial.user_attrs['slot']}", "arm": arm, "values": values}


def _arm(own: str | None, candidate: Mapping[str, Any], config: StudyConfig) -> str | None:
    """The arm of this space that has the candidate: its own, else its family's, else that of its variant."""
    arms = (config.space,) if isinstance(config.space, str) else config.space
    family = candidate["family"]
    drawn = own in (None, family)  # what is a variant there has no values from which the family would draw it
    known = (own, *([family] if drawn else []), f"{family}.{candidate['variant']}")
    return next((arm for arm in known if arm in arms), None)
