"""The stages of a study: explore, confirm and refit.

`stage` is what they share: a plan of evaluations in an Optuna study. `evaluation` is one claimed entry of it,
`ownership` says who evaluates it, `tell` what Optuna is told of it, `repeats` knows candidates drawn before.
"""
