"""Everything that speaks Keras Tuner, both ways.

`hypermodels` turns somebody's hypermodel into a space, and a family into a hypermodel (`FamilyHyperModel`).
`hyperparameters` is Keras Tuner's `hp` with values from any source (`DrawnHyperParameters`).
`training_config` finds out what a hypermodel decides of its training, `custom_objects` opens models with
classes of its own. These import Keras when they are imported. `source_digest` does not: coordinators use it.
"""
