"""What tables, figures and sentences call each candidate: no two alike."""

from math import isfinite
from typing import Any

import pandas as pd

from reports.records.frames import each
from reports.records.study import StudyRecords

#: Candidates of one label are told apart by so many settings, if these suffice.
TELLING = 3


def labels_of(study: StudyRecords) -> dict[str, str]:
    """What to call each candidate; those of one label are told apart by the settings in which they differ.

    Args:
        study: The records.

    Returns:
        The name of each candidate, no two alike.
    """
    frame = study.evaluations[study.evaluations.candidate != ""].drop_duplicates("candidate")
    settings = study.settings.reindex(frame.run_id)
    found: dict[str, str] = {}
    for _, group in frame.groupby("label", sort=False):
        told = _told_apart(group, settings.loc[list(group.run_id)])
        found |= dict(zip(group.candidate, told, strict=True))
    return found


def _told_apart(group: pd.DataFrame, settings: pd.DataFrame) -> list[str]:
    """What to call candidates of one label: with three settings, or as many as it takes.

    Where no setting does it, a piece of the fingerprint does.
    """
    varying = [column for column in settings.columns if settings[column].nunique(dropna=False) > 1]
    fewest = min(TELLING, len(varying))
    for count in range(fewest, len(varying) + 1):
        told = _with_settings(group, settings[varying[:count]])
        if len(set(told)) == len(told):
            return told
    told = _with_settings(group, settings[varying[:fewest]])
    return [f"{name} · {candidate[:6]}" for name, candidate in zip(told, group.candidate, strict=True)]


def _with_settings(group: pd.DataFrame, settings: pd.DataFrame) -> list[str]:
    """Labels and these settings, without those that a candidate does not have."""
    told = []
    for run, (_, *values) in zip(each(group), settings.itertuples(name=None), strict=True):
        own = [pair for pair in zip(settings.columns, values, strict=True) if pd.notna(pair[1])]
        told.append(" · ".join([run.label or run.candidate, *(_setting(*pair) for pair in own)]))
    return told


def _setting(column: str, value: Any) -> str:
    """A setting as people read it: fractions to three digits."""
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    shown = f"{number:.3g}" if isfinite(number) and number != round(number) else str(value)
    return f"{column.partition('.')[2].replace('_', ' ')} {shown}"
