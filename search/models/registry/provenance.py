"""Where a model comes from: its run, and the study of that run."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from search.models.registry.queries import ClientRegistry
from search.models.registry.references import client_of, named
from search.tracking import names

_RUN: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Origin:
    """The run of a model and its study's. tags: of the study's run."""

    run_id: str
    study_run_id: str
    experiment: str
    tags: Mapping[str, str]


def origin_of(reference: str, tracking_uri: str) -> Origin | None:
    """Where a model was made.

    Args:
        reference: "champion", "NAME@alias", a run id or a file.
        tracking_uri: MLflow's address.

    Returns:
        Its run and experiment; None for a file.

    Raises:
        UserError: If there is no such model.
    """
    if reference.endswith(".keras"):
        return None
    client = client_of(tracking_uri)
    run_id = reference
    if not _RUN.fullmatch(reference):
        name, alias = named(ClientRegistry(client).aliases(), reference)
        run_id = str(client.get_model_version_by_alias(name, alias).run_id)
    parent = client.get_run(client.get_run(run_id).data.tags["mlflow.parentRunId"])
    tags = parent.data.tags
    return Origin(run_id, parent.info.run_id, tags[names.EXPERIMENT], tags)
