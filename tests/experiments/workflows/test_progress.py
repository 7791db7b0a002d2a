"""What is said while a study runs is said as it is, whatever signs are in it."""

import io
from types import SimpleNamespace
from typing import Any, cast

from rich.console import Console

from experiments.workflows.console.progress import Progress
from search.execution.messages import EvaluationResult
from search.study.stages.evaluation import ActiveEvaluation
from search.tracking import names


def _work(label: str) -> ActiveEvaluation:
    built: Any = SimpleNamespace(label=label)
    return cast(
        ActiveEvaluation,
        SimpleNamespace(key="s/explore/3/0", stage=names.EXPLORE, slot=3, seed=0, built=built),
    )


def test_brackets_of_an_error_and_of_a_label_are_shown() -> None:
    """They look like the marks of the library that prints, and one without a beginning would be an error."""
    printed = io.StringIO()
    progress = Progress(Console(file=printed, width=200), quiet=False)
    outcome = EvaluationResult(names.FAILED, "no such device [/job:localhost/device:CPU:0] in [bold]")
    progress.ended(_work("mine sizes=[8, 16]"), outcome)
    said = (
        "  trial 3 | mine sizes=[8, 16] | failed | no such device [/job:localhost/device:CPU:0] in [bold]\n"
    )
    assert printed.getvalue() == said


def test_a_heading_stands_before_the_line() -> None:
    printed = io.StringIO()
    Progress(Console(file=printed, width=200), quiet=False).say(": which [one]?", "joint")
    assert printed.getvalue() == "joint: which [one]?\n"
