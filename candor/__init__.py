"""Candor from Python: run a study, read its results, use its model.

    import candor

    result = candor.search("conv_stages", data="fer2013.zip", workers=2)
    result.table

`search` runs or continues a study, `report` writes its pages, `load_study` reads its records and `predict`
labels images. A mistake in an argument raises `UserError` with one sentence.
"""

from candor._own_packages import import_own_packages

import_own_packages()

from candor._api import load_study, predict, report, search  # noqa: E402  after the packages are found
from candor._result import SearchResult  # noqa: E402
from spaces.errors import UserError  # noqa: E402

__all__ = ["SearchResult", "UserError", "load_study", "predict", "report", "search"]
