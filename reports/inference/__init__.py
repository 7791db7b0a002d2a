"""What follows from the numbers: comparison, verdict, and sentences about them.

`comparison.compare` compares candidates by image and seed, `verdict.decide` selects, `sentences` says it in
words.
"""
