"""The tables of MLflow that hold a study, and rows of them by the names of their columns."""

from typing import Any, Final

Row = dict[str, Any]
Rows = dict[str, list[Row]]

#: The tables that hold a run, in an order in which they can be filled, with the column that names the run.
OF_RUNS: Final = {
    "runs": "run_uuid",
    "tags": "run_uuid",
    "params": "run_uuid",
    "metrics": "run_uuid",
    "latest_metrics": "run_uuid",
}
TABLES: Final = (*OF_RUNS, "datasets", "inputs", "input_tags")
