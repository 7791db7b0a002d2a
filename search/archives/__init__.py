"""Studies in one file: `NAME.study.zip`.

A packed study is a zip with a manifest, an MLflow store and an Optuna storage of its own, and the artifacts
of its runs. `container` writes and reads the zip as one that anybody may have made: every name, size, ratio
and digest is checked and nothing in it is executed. `probabilities` stores predictions without loss.
`mlflow_rows` copies one study's runs from store to store, `search.study.transfer` its trials. What identifies
a machine or a person is taken out by `without_machine`.
"""
