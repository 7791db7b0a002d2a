"""A study: its config, its stages and what Optuna keeps of them.

`study.Study` is the whole. `planning` decides what is evaluated, `stages` carries it out, `optuna` holds what
speaks Optuna. `transfer` copies a study's trials between two storages.
"""
