"""Trained models in use: open, predict, explain, export, register.

`predict` and `batches` label pictures, `classifier` opens a model safely, `occlusion` explains an answer,
`export` writes other formats and `registry` keeps the champions in MLflow.
"""
