"""The settings in which explored candidates differ, by the name a reader knows them by."""

import numpy as np
import pandas as pd

from reports.analysis import Analysis
from search.tracking import names

#: Facts of a candidate that stand for many of its settings, in the order of interest.
FACTS = ("family", "conv_stages", "dense_layers", "parameters")


def factors(analysis: Analysis, runs: pd.DataFrame) -> dict[str, "pd.Series[float]"]:
    """Name to one value for each of these runs, in their order: only what all have and what varies."""
    own = analysis.study.settings.reindex(runs.run_id)
    rest = [name for name in own.columns if name.startswith(names.RECIPE)]
    rest += [name for name in own.columns if name.startswith(names.ARCH) and name[5:] not in names.ARCH_FACTS]
    found = {**{name: runs[name] for name in FACTS}, **{name: own[name] for name in rest}}
    return {
        (name.partition(".")[2] or name).replace("_", " "): values
        for name, values in found.items()
        if values.notna().all() and values.nunique() > 1
    }


def levels(values: "pd.Series[float]", most: int = 5) -> np.ndarray:
    """Codes 0, 1, ... of the values; numbers with many values are parted into ranges of equal counts."""
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > most:
        return np.asarray(pd.qcut(values.rank(method="average"), most, labels=False, duplicates="drop"))
    return np.unique(values.astype(str), return_inverse=True)[1]
