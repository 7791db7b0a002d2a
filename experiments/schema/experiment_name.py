"""What an experiment is called in MLflow and in `reports/`, from what a person types."""

from pathlib import Path

from experiments.schema.experiment import ExperimentConfig


def name_of(name_or_path: str) -> str:
    """The name that the file of this path says or has; any other word as it is. Raises UserError."""
    is_path = Path(name_or_path).expanduser().is_file()
    return ExperimentConfig.load(name_or_path).name if is_path else name_or_path
