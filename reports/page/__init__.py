"""The HTML page of a study, and the index of several.

`render` fills the templates, `views` shows tables and figures, `links` leads to MLflow's UI.
"""
