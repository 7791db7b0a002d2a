"""From a verdict to a registered model: the selected candidate's, kept from confirm or trained once more."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from search.models.registry.references import client_of, labels_of_run
from search.models.registry.registry import (
    Registered,
    Registration,
    attach,
    register,
    source_run,
    tag_versions,
)
from search.safety.text import markdown_line
from search.tracking import names
from spaces.errors import UserError

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities import Run

    from reports.records.study import StudyRecords

#: Trains a candidate (its fingerprint) at these learning rates; the key of the evaluation, None if stopped.
Train = Callable[[str, Sequence[float]], str | None]
RETRAINED = "train + monitor"  # value of names.TRAINED_ON
_MEANS = ("accuracy", "loss", "macro_f1")


@dataclass(frozen=True)
class Selected:
    """The candidate that a frozen verdict selected, and its complete confirm evaluations, by seed."""

    study: "StudyRecords"
    candidate: str
    label: str
    runs: "pd.DataFrame"

    @property
    def epochs(self) -> int:
        """How many epochs the confirm stage found best, on average."""
        return max(1, round(float(self.runs.best_epoch.mean())))

    def rates(self) -> list[float]:
        """The learning rate of each of these epochs: the median over the seeds that came so far."""
        history = self.study.history_of(list(self.runs.run_id), ["learning_rate"])
        rates = history.groupby("epoch").learning_rate.median()
        return [float(rates.loc[epoch]) for epoch in range(1, self.epochs + 1)]


def selected(experiment: str, tracking: str, study: str | None = None) -> Selected | None:
    """What a study of an experiment, else its latest, selected, if anything."""
    from reports.analysis import analyse
    from reports.records.study import load_study

    analysis = analyse(load_study(experiment, tracking, study))
    if analysis.verdict is None or analysis.verdict.selected is None:
        return None
    return confirmed(analysis.study, analysis.verdict.selected)


def confirmed(study: "StudyRecords", candidate: str) -> Selected:
    """A candidate with its complete confirm evaluations."""
    frame = study.evaluations
    mine = (frame.stage == names.CONFIRM) & (frame.state == names.COMPLETE) & (frame.candidate == candidate)
    runs = frame[mine].sort_values("seed", key=lambda s: s.astype(int))
    return Selected(study, candidate, str(runs.label.iloc[0]), runs)


def crown(experiment: str, tracking: str, study: str, train: Train | None) -> str:
    """Register the model of what a study selected; one sentence on what came of it, or "".

    train: trains the candidate once more. Without it the first confirm seed's model is taken, whatever its
    number, so that no luck of validation chooses it. Whatever happens here, the study is over and stays so: a
    failure is told, and the next `search` tries again.
    """
    try:
        chosen = selected(experiment, tracking, study)
        if chosen is None:
            return ""
        retrained = train(chosen.candidate, chosen.rates()) if train else None
        if train and retrained is None:
            return f"{chosen.label} was not trained once more; the same search command goes on with it."
        return _told(chosen, _register(chosen, tracking, retrained), train is not None)
    except UserError as error:
        return f"No model was registered: {error}."
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0][:200]
        return f"No model was registered ({type(error).__name__}: {reason}); the same search tries again."


def _told(chosen: Selected, done: Registered, retrained: bool) -> str:
    which = "trained on train and monitor together" if retrained else "as it was confirmed"
    version = f"{done.name} version {done.version}"
    if not done.new:
        return (
            f"The model of {chosen.label} is registered: {version}{f' ({done.alias})' if done.alias else ''}."
        )
    way = f"; `candor promote {done.name}` makes it champion" if done.alias == names.CHALLENGER else ""
    return f"The model of {chosen.label}, {which}, is registered as {version}, {done.alias}{way}."


def _register(chosen: Selected, tracking: str, retrained: str | None) -> Registered:
    client = client_of(tracking)
    run = _source(client, chosen, retrained)
    tags = tags_of(chosen, run, retrained is not None)
    shape = tuple(chosen.study.data["image_shape"])
    return register(
        client,
        Registration(
            name=chosen.study.experiment,
            run_id=run.info.run_id,
            labels=labels_of_run(client, run.info.run_id),
            image_shape=(shape[0], shape[1], shape[2]),
            tags=tags,
            description=describe(chosen, tags, retrained is not None),
            texts=_card(chosen, tracking, run.info.run_id, retrained is not None),
        ),
    )


def tags_of(chosen: Selected, run: "Run", retrained: bool) -> dict[str, str]:
    """The tags of the version that this run's model becomes.

    Over folds the numbers are pooled over networks, and the one in the file has none of its own.
    """
    own = {names.OWN + names.VAL + name: run.data.metrics.get(names.VAL + name) for name in _MEANS}
    known = {} if chosen.study.folds else {name: value for name, value in own.items() if value is not None}
    return {
        names.STUDY: chosen.study.study_id,
        names.CANDIDATE: chosen.candidate,
        names.LABEL: chosen.label,
        names.VERDICT_HASH: chosen.study.run.tags.get(names.VERDICT_HASH, ""),
        names.SOURCE_KEY: run.data.tags[names.KEY],
        names.TRAINED_ON: RETRAINED if retrained else "train",
        names.VAL_IMAGES: str(_judging(chosen.study)),
        names.MODEL_SEEDS: str(len(chosen.runs)),
        **_means(chosen.runs, names.VAL),
        **{name: _number(value) for name, value in known.items()},
        names.TEMPERATURE: _number(run.data.metrics.get(names.TEMPERATURE, 1.0)),
        **test_tags(chosen.study, chosen.candidate),
    }


def _judging(study: "StudyRecords") -> int:
    """How many images judge: those of validation, over folds those of train too."""
    counts = study.data["counts"]
    return int(counts["validation"]) + (int(counts["train"]) if study.folds else 0)


def _card(chosen: Selected, tracking: str, run_id: str, retrained: bool) -> dict[str, str]:
    """The model card, as files by name."""
    import reports
    from reports.card.parts import ModelFile

    images = int(chosen.study.data["counts"]["train"])
    again = ModelFile(retrained=True, images=images, epochs=chosen.epochs)
    file = again if retrained else ModelFile(run_id=run_id)
    card = reports.model_card(
        chosen.study.experiment, tracking, chosen.study.study_id, candidate=chosen.candidate, file=file
    )
    texts: dict[str, str] = card.texts
    return texts


def _source(client: Any, chosen: Selected, retrained: str | None) -> "Run":
    """The run whose model is registered. Raises UserError where no model was kept."""
    keys: Sequence[str] = [retrained] if retrained else list(chosen.runs.key)
    for key in keys:
        run = source_run(client, chosen.study.experiment, key)
        if run is not None:
            return run
    raise UserError(
        f'no model of {chosen.label} was kept; set protocol.final = "retrain", or protocol.keep_models = '
        '"leaders" before a study'
    )


def describe(chosen: Selected, tags: Mapping[str, str], retrained: bool) -> str:
    """What the registry says of a version: whose model it is, how good, and which file."""
    folds = chosen.study.folds
    judged = " of train and validation, each judged by a network that has not seen it" if folds else ""
    numbers = (
        f"Validation accuracy {float(tags[names.VAL + 'accuracy']):.4f}, the mean of {len(chosen.runs)} "
        f"seeds on {tags[names.VAL_IMAGES]} images{judged}."
    )
    if retrained:
        file = (
            f"This file was trained on train and monitor together, for {chosen.epochs} epochs: the numbers "
            "are those of the procedure, not of this file."
        )
    elif folds:
        file = (
            f"This file is the network that {tags[names.SOURCE_KEY]} trained without the first of its "
            f"{folds} folds: the numbers are not its own."
        )
    else:
        file = f"This file is the network of {tags[names.SOURCE_KEY]}, one of them."
    return f"{markdown_line(chosen.label)}, selected by study {chosen.study.study_id}. {numbers} {file}"


def test_tags(study: "StudyRecords", candidate: str) -> dict[str, str]:
    """What the opened test set says of a candidate, as tags of its versions; none while it is sealed."""
    opened = study.unsealings
    mine = opened[opened.candidate == candidate]
    if mine.empty:
        return {}
    return {**_means(mine, names.TEST), names.TEST + names.MODEL_SEEDS: str(len(mine))}


def tag_opened(experiment: str, tracking: str, candidates: Sequence[str]) -> None:
    """Put the numbers of a test set that was just opened onto the versions of these candidates."""
    import reports

    client, study = client_of(tracking), reports.load_study(experiment, tracking)
    for candidate in candidates:
        wanted = {names.STUDY: study.study_id, names.CANDIDATE: candidate}
        for version in tag_versions(client, experiment, wanted, test_tags(study, candidate)):
            retrained = version.tags[names.TRAINED_ON] == RETRAINED
            card = _card(confirmed(study, candidate), tracking, str(version.run_id), retrained)
            attach(client, version, card)


def _means(runs: "pd.DataFrame", prefix: str) -> dict[str, str]:
    return {prefix + name: _number(float(runs[prefix + name].mean())) for name in _MEANS}


def _number(value: float) -> str:
    return f"{value:.6g}"
