"""One training: from a network, a recipe and images to measured probabilities.

`evaluate` serves a task in a child process, `fit` trains one network, `early_stopping` ends it, `schedule`
sets its learning rate, `replicates` plans several trainings of one evaluation, `measures` measures. `recipe`,
`augmentation`, `early_stopping` and `precision` need no Keras, so that coordinators may import them.
"""
