"""Trained models at work: compared, scored, reproduced.

`predictors` opens what answers about images, `compare` and `score` judge it, `reproduce` trains it again.
"""
