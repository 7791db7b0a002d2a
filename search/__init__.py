"""How to find out: data sets, training, studies, their records and their models.

`datasets` prepares images, `training` trains one network, `execution` runs it in a process of its own,
`study` decides what is trained next, `workers` does it, `tracking` records it in MLflow, and `models` uses
what came out. `safety` guards paths, secrets and output. Reports import from here only what reads MLflow.
"""
