"""The smallest task that a child takes."""

from typing import Any

from search.execution.messages import Task


def small_task(**fields: Any) -> Task:
    """One epoch of `plain_cnn`'s defaults on no data set; `fields` is what differs."""
    plain: dict[str, Any] = {
        "key": "small",
        "seed": 0,
        "space": "plain_cnn",
        "dataset": "",
        "folder": "",
        "recipe": {},
        "epochs": 1,
        "patience": 1,
        "objective": "val_accuracy",
        "precision": "float32",
        "threads": 1,
        "monitor_fraction": 0.1,
        "monitor_seed": 0,
    }
    return Task(**(plain | fields))
