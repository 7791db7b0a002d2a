"""Where and with what a command works."""

from dataclasses import dataclass

from search.storage import GRACE_SECONDS
from search.workspace import Workspace


@dataclass(frozen=True)
class Means:
    """Where and with what a study runs: nothing here changes a result."""

    workspace: Workspace
    workers: int | None = None
    storage: str | None = None
    tracking_uri: str | None = None
    gpu_share: int = 1
    grace_seconds: int = GRACE_SECONDS
    joins: bool = False  # one worker among others, which must not begin a study beside theirs

    @property
    def tracking(self) -> str:
        """MLflow's address."""
        return self.tracking_uri or self.workspace.tracking_uri
