"""What a person names on the command line, found in MLflow and in the workspace."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from experiments.schema.experiment import ExperimentConfig
from experiments.workflows.study.resolve import prepare_data
from reports.records.open_store import open_store
from reports.records.store import MissingArtifactError, Run, Store
from reports.records.study import load_study
from search.datasets.cache.checksums import damaged_files
from search.datasets.cache.prepared import MANIFEST, Part, Prepared
from search.safety.secrets import masked_address
from search.tracking import names
from search.workspace import Workspace
from spaces.errors import UserError

#: So much of a run's id a person must give.
_SHORTEST = 6


@dataclass(frozen=True)
class RecordedRun:
    """A run, and the study's run that it belongs to."""

    run: Run
    parent: Run
    store: Store

    @property
    def experiment(self) -> str:
        """The experiment's name."""
        return self.parent.tags[names.EXPERIMENT]


def find_evaluation(text: str, tracking_uri: str) -> RecordedRun:
    """The evaluation with this run id, or the beginning of one, or this key. Raises UserError.

    Args:
        text: As it was typed.
        tracking_uri: MLflow's address.
    """
    store = open_store(tracking_uri)
    for number in store.experiments().values():
        kinds = (names.EVALUATION_KIND, names.FINAL_KIND)
        runs = [run for kind in kinds for run in store.runs(number, {names.KIND: kind})]
        found = [run for run in runs if _is_meant(run, text)]
        if len(found) > 1:
            raise UserError(f"{text} is the beginning of {len(found)} run ids: give more of it")
        if found:
            study = found[0].tags[names.STUDY]
            parents = store.runs(number, {names.KIND: names.STUDY_KIND, names.STUDY: study})
            if not parents:
                raise UserError(f"the study {study} of run {text} is no longer in MLflow")
            return RecordedRun(found[0], parents[0], store)
    raise UserError(
        f"{masked_address(tracking_uri)} holds no evaluation {text}: give a run id from the report or from "
        f"MLflow, or a {names.KEY} such as 0123456789ab/confirm/1/2"
    )


def newest_study(experiment: str, tracking_uri: str) -> RecordedRun:
    """The newest study of an experiment. Raises UserError where there is none.

    Args:
        experiment: The experiment's name.
        tracking_uri: MLflow's address.
    """
    study = load_study(experiment, tracking_uri)
    return RecordedRun(study.run, study.run, study.store)


def _is_meant(run: Run, text: str) -> bool:
    if "/" in text:
        return run.tags.get(names.KEY) == text
    return len(text) >= _SHORTEST and run.run_id.startswith(text)


def spec_of(recorded: RecordedRun) -> ExperimentConfig:
    """The experiment as the study had it. Raises UserError where it was not kept.

    Args:
        recorded: A run and its study.
    """
    try:
        path = recorded.store.artifact(recorded.parent, names.EXPERIMENT_TOML)
    except MissingArtifactError as error:
        raise UserError(f"the experiment file of study {recorded.parent.name} is missing: {error}") from None
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    return ExperimentConfig.parse(document, f"{names.EXPERIMENT_TOML} of {recorded.parent.name}")


def images_of(
    recorded: RecordedRun, workspace: Workspace, source: str | None, say: Callable[[str], None]
) -> Prepared:
    """The very images of a study, from the cache or prepared again; `source`: where they lie now.

    Raises UserError where the images found are not the study's.

    Args:
        recorded: A run and its study.
        workspace: Where prepared images lie.
        source: Where the images lie now; None for where they lay.
        say: Is told of progress.
    """
    tags = recorded.parent.tags
    found = cached(workspace, tags) if source is None else None
    if found is not None:
        return found
    spec = spec_of(recorded)
    if source is not None:
        spec = spec.override({"data.source": source})
    data = prepare_data(spec, workspace, say)
    for name, digest in ((names.DATA_DIGEST, data.digest), (names.SPLIT_DIGEST, data.split_digest)):
        if digest != tags[name]:
            raise UserError(
                f"{spec.data.source} holds other images than the study's, or splits them otherwise: "
                f"{name} is {digest[:12]}, the study's {tags[name][:12]}. Name the right data with --data"
            )
    return data


def cached(workspace: Workspace, tags: Mapping[str, str]) -> Prepared | None:
    """The prepared data with a study's digests, if the workspace still has them.

    Args:
        workspace: Where prepared images lie.
        tags: Of the study's run.
    """
    for manifest in sorted(workspace.cache.glob(f"**/{MANIFEST}")):
        data = Prepared.open(manifest.parent)
        known = (tags[names.DATA_DIGEST], tags[names.SPLIT_DIGEST])
        if (data.digest, data.split_digest) == known and not damaged_files(data.folder):
            return data
    return None


def validation_images(workspace: Workspace, tags: Mapping[str, str]) -> Part:
    """The validation part of a study, by the tags of its run. Raises UserError where it is gone.

    Args:
        workspace: Where prepared images lie.
        tags: Of the study's run.
    """
    data = cached(workspace, tags)
    if data is None:
        raise UserError(
            f"the study's images are no longer in {workspace.cache}: run its search command again first"
        )
    return data.validation()
