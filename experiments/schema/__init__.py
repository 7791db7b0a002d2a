"""What an experiment file may say, and how it is read, checked and written.

`experiment.ExperimentConfig` is the validated file. `catalog` finds files, `checks` compares sections.
"""
