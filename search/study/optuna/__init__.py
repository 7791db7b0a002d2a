"""Everything that speaks Optuna: storage, samplers, pruners.

`storage` opens a storage, `retry` waits for one, `reconcile` compares it with MLflow, `samplers` makes
samplers and pruners. `_optuna_private` has all that touches Optuna's private tables.
"""
