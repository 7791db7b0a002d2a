"""Doubtful labels: which images a network that has not seen them contradicts, and what a study does about it.

`suspects` ranks images by confident learning, `out_of_fold` makes the predictions that it needs, `audit`
writes the page and the table, `choice` carries out `[data] labels`, `votes` reads tables of votes. Reports
use `suspects` alone, which loads neither Keras nor images.
"""
