"""A study: its config, its stages and what Optuna keeps of them.

`study` is the whole, `explore`, `confirm` and `refit` are its stages, `leaders` selects, `samplers` makes
samplers and pruners. `storage` opens Optuna's storage, and `_optuna_private` has everything that touches
its private tables.
"""
