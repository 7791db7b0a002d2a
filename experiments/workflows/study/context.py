"""Where and with what a command works."""

from dataclasses import dataclass

from search.safety.secrets import masked_address
from search.study.optuna.storage import GRACE_SECONDS
from search.workspace import Workspace
from spaces.errors import UserError


@dataclass(frozen=True)
class RunContext:
    """Where and with what a study runs: nothing here changes a result."""

    workspace: Workspace
    workers: int | None = None
    storage: str | None = None
    tracking_uri: str | None = None
    gpu_share: int = 1
    grace_seconds: int = GRACE_SECONDS
    joins: bool = False  # one worker among others, which must not begin a study beside theirs

    def __post_init__(self) -> None:
        """Raises UserError for a storage that processes cannot share: nothing would keep a second one out."""
        if self.storage is not None and not self.storage.startswith("postgresql"):
            raise UserError(
                "--storage takes postgresql+psycopg://USER@HOST/NAME; without it, a file in the workspace is "
                f"used. Received: {masked_address(self.storage)}"
            )

    @property
    def server(self) -> str | None:
        """The address of an MLflow server, without a password; None for the workspace's own store."""
        own = self.tracking_uri in (None, self.workspace.tracking_uri)
        return None if own else masked_address(self.tracking)

    @property
    def tracking(self) -> str:
        """MLflow's address."""
        return self.tracking_uri or self.workspace.tracking_uri
