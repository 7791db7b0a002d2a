"""Addresses in the MLflow UI."""

from dataclasses import dataclass
from urllib.parse import quote

from search.tracking import names


@dataclass(frozen=True)
class Links:
    """Addresses of one experiment's runs; '' everywhere when no UI address is known."""

    ui_url: str | None
    experiment_id: str

    def run(self, run_id: str) -> str:
        """One run's page."""
        return f"{self._base}/runs/{run_id}" if self.ui_url and run_id else ""

    def candidate(self, candidate: str) -> str:
        """The list of all runs of one candidate: what a mean over seeds was made of."""
        wanted = quote(f"tags.`{names.CANDIDATE}` = '{candidate}'", safe="")
        return f"{self._base}/runs?searchFilter={wanted}" if self.ui_url and candidate else ""

    @property
    def _base(self) -> str:
        return f"{(self.ui_url or '').rstrip('/')}/#/experiments/{self.experiment_id}"
