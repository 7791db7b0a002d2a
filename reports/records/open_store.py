"""Which reader serves an MLflow address."""

from reports.records.mlflow_client import ClientStore
from reports.records.mlflow_sqlite import SqliteStore
from reports.records.store import Store


def open_store(tracking_uri: str) -> Store:
    """The fastest reader that understands this store.

    Args:
        tracking_uri: MLflow's address.

    Raises:
        UserError: It is the address of a file that is damaged.
        UnavailableError: It is the address of a file that is locked.
    """
    return SqliteStore.open(tracking_uri) or ClientStore(tracking_uri)
