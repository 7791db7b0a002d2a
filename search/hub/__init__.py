"""A PostgreSQL and an MLflow server for several machines, started by one command, as an ordinary user.

Public: `hub.serve` (runs both until a signal), `address.Hub` (how workers reach them).
"""
