"""What to conclude: reads what MLflow holds, and says what can be believed.

`from reports import load_study` gives a study's pandas frames; nothing heavy is imported before it is used.
"""

from typing import Any

_EXPORTS = {
    "build": "reports.writer",
    "self_contained": "reports.writer",
    "model_card": "reports.card.card",
    "verdict_of": "reports.analysis",
    "sentences_of": "reports.analysis",
    "decision_of": "reports.analysis",
    "load_study": "reports.records.study",
}


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'reports' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_EXPORTS[name]), name)
