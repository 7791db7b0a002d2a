"""Studies that the storage has already: what each is made of, and which draws led it."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from search.setting import Setting
from search.storage import Storage
from search.tracking import names
from spaces.errors import UserError

#: The attribute of an Optuna study that keeps what its id is the hash of.
IDENTITY = "identity"
#: That of an explore stage which keeps the draws that it begins with.
LEADS = "leads"

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


def leads(storage: Storage, setting: Setting, stage: str) -> list[dict[str, Any]]:
    """What `protocol.warm_start` hands to the explore stage of this name, best first, for its plan.

    The candidates that the newest other study of that experiment found best on its monitor images, as many
    as this study has leaders: `from` is the study and its trial, `arm` one of this space, `values` what was
    drawn there, by name. They stay what they were when the stage began. No image of a validation part has a
    say in them. Raises UserError where there are none.
    """
    wanted = setting.protocol.warm_start
    if wanted is None:
        return []
    stages = {frozen.study_name: frozen.user_attrs for frozen in storage.get_all_studies()}
    if LEADS in stages.get(stage, {}):
        return list(stages[stage][LEADS])
    for study in reversed([study for study, _ in identities(storage, wanted)]):
        name = f"{wanted}-{study}/explore"
        ranked = _ranked(storage, name) if name in stages and study != setting.study else []
        if ranked:
            return _taken(ranked, study, setting)
    raise UserError(
        f'protocol.warm_start = "{wanted}": the workspace holds no other study of that experiment that has '
        "explored anything; run it first, or leave the key out"
    )


def _ranked(storage: Storage, name: str) -> Sequence[FrozenTrial]:
    """The trials whose candidates were trained to their end and drawn, best first."""
    explored = optuna.load_study(study_name=name, storage=storage.cached)
    sign = 1 if explored.directions[0] == optuna.study.StudyDirection.MINIMIZE else -1
    complete = explored.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    drawn = [t for t in complete if t.user_attrs.get("state") == names.COMPLETE and t.params]
    return sorted(drawn, key=lambda trial: (sign * trial.values[0], trial.number))


def _taken(ranked: Sequence[FrozenTrial], study: str, setting: Setting) -> list[dict[str, Any]]:
    arms = (setting.space,) if isinstance(setting.space, str) else setting.space
    taken = []
    for trial in ranked:
        family = trial.user_attrs["candidate"]["family"]
        arm = next((arm for arm in arms if family in (arm, arm.partition(".")[0])), None)
        if arm is not None:
            source = f"{study}/{trial.user_attrs['slot']}"
            taken.append({"from": source, "arm": arm, "values": dict(trial.params)})
    if not taken:
        families = ", ".join(sorted({trial.user_attrs["candidate"]["family"] for trial in ranked}))
        raise UserError(
            f'protocol.warm_start = "{setting.protocol.warm_start}": study {study} explored {families}, '
            f"which this space ({', '.join(arms)}) does not have"
        )
    return taken[: setting.protocol.leaders]
