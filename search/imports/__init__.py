"""Results that exist already: read from their source, and judged by what they leave out.

`table` reads text with separators, `roles` says which column is what, `results` turns rows into evaluations
and finds what is wrong with them. Nothing here knows MLflow: `candor import` writes the evaluations by the
same contract as a search.
"""
