"""What a study leaves in MLflow.

`names` is the contract with reports. `spool` keeps records on disk, `delivery` sends them, `writer` applies
them to MLflow. Sending twice changes nothing. `mlflow_schema` has what is read of MLflow's own tables.
"""
