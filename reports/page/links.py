"""Addresses in the MLflow UI."""

from dataclasses import dataclass
from urllib.parse import quote

from search.tracking import names

#: Without it the UI shows its pages for traces of language models, on which a study has nothing.
_VIEW = "workflowType=machine_learning"


def runs_address(ui_url: str, experiment_id: str) -> str:
    """The table of an experiment's runs in the UI at this address."""
    return f"{ui_url.rstrip('/')}/#/experiments/{experiment_id}/runs?{_VIEW}"


@dataclass(frozen=True)
class Links:
    """Addresses of one experiment's runs; '' everywhere when no UI address is known."""

    ui_url: str | None
    experiment_id: str

    def run(self, run_id: str) -> str:
        """One run's page."""
        return f"{self._base}/runs/{run_id}?{_VIEW}" if self.ui_url and run_id else ""

    def candidate(self, candidate: str) -> str:
        """The list of all runs of one candidate: what a mean over seeds was made of."""
        wanted = quote(f"tags.`{names.CANDIDATE}` = '{candidate}'", safe="")
        return f"{self._base}/runs?searchFilter={wanted}&{_VIEW}" if self.ui_url and candidate else ""

    @property
    def _base(self) -> str:
        return f"{(self.ui_url or '').rstrip('/')}/#/experiments/{self.experiment_id}"
