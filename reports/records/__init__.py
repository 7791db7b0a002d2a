"""Reading what MLflow holds of a study, as frames and arrays.

`study.load_study` is the entry. `store` reads runs and artifacts, from MLflow's server or straight from its
file.
"""
