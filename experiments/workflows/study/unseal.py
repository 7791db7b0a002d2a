"""`candor unseal`: the test set is opened for a verdict that was frozen before."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

from experiments.workflows.study.context import RunContext
from experiments.workflows.study.lookup import cached
from experiments.workflows.study.register import tag_opened
from search.tracking import names
from search.tracking.writer import Writer
from search.unseal import Opening, frozen, unseal
from spaces.errors import UserError


def open_test_set(experiment: str, context: RunContext, say: Callable[[str], None]) -> Opening:
    """Measure the selected candidate and the runner-up of the newest study on its test set.

    The accuracies go by the names that the report gives to candidates. Raises UserError when there is no
    verdict, none selected, no test part, or it was done before.
    """
    import reports
    from reports.analysis import analyse

    study = reports.load_study(experiment, context.tracking)
    tags = study.run.tags
    if names.VERDICT_HASH not in tags:
        raise UserError(
            f"{experiment} has no verdict yet: finish the study with `candor search {experiment}`"
        )
    if not tags.get(names.TEST_DIGEST):
        raise UserError(f"the data of {experiment} have no test part: there is nothing to unseal")
    text = study.store.artifact(study.run, names.VERDICT_JSON).read_text(encoding="utf-8")
    if frozen(text) != tags[names.VERDICT_HASH]:
        raise UserError(
            f"the verdict of {experiment} is not the one that was frozen: the test set stays sealed"
        )
    verdict = json.loads(text)
    candidates = [verdict[place] for place in ("selected", "runner_up") if verdict[place]]
    if not candidates:
        raise UserError(f"the verdict of {experiment} selected nothing: the test set stays sealed")
    data = cached(context.workspace, tags)
    if data is None:
        raise UserError(
            f"the study's images are no longer in {context.workspace.cache}: run its search command again, "
            "then unseal"
        )
    local = context.workspace.artifacts if context.tracking.startswith("sqlite") else None
    writer = Writer(context.tracking, experiment, local)
    labels = analyse(study).labels
    opening = unseal(writer, study.study_id, tags[names.VERDICT_HASH], candidates, data, say)
    tag_opened(experiment, context.tracking, candidates)
    return called(opening, labels)


def called(opening: Opening, labels: Mapping[str, str]) -> Opening:
    """An opening with candidates called as the report calls them; by fingerprint where it does not."""
    accuracies = {labels.get(candidate, candidate): own for candidate, own in opening.accuracies.items()}
    return replace(opening, accuracies=accuracies)
