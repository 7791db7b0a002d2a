"""Reading what MLflow holds of a study, as frames and arrays.

`study.load_study` is the entry. `store` says what a reader of MLflow offers. `open_store` chooses one:
`mlflow_sqlite` reads MLflow's file, `mlflow_client` asks its server.
"""
