"""The model card: what a model is, how good, for whom, where it fails; from what MLflow holds, no more."""
