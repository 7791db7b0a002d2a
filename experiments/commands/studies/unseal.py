"""`candor unseal`: open the test set, once."""

from pathlib import Path

from experiments.options import Experiment, HubFile, TrackingUri, Workspace, servers
from experiments.terminal import echo

PANEL = "Studies"


def command(
    experiment: Experiment,
    workspace: Workspace = Path("runs"),
    tracking_uri: TrackingUri = None,
    hub: HubFile = None,
) -> None:
    """Open the test set, once, for the verdict of a finished study.

    Args:
        experiment: A name from `candor list`, or the path of a TOML file.
        workspace: The folder that everything is written to.
        tracking_uri: MLflow's address; None for a file in the workspace.
        hub: `hub.toml`, in place of the addresses of both servers.
    """
    from experiments.schema.experiment_name import name_of
    from experiments.workflows.study.conclude import report as write_report
    from experiments.workflows.study.context import RunContext
    from experiments.workflows.study.unseal import open_test_set
    from search.workspace import Workspace as Place

    _, tracking_uri = servers(hub, None, tracking_uri)
    name = name_of(experiment)
    context = RunContext(Place.at(workspace), tracking_uri=tracking_uri)
    opening = open_test_set(name, context, echo)
    for label, accuracies in opening.accuracies.items():
        mean = sum(accuracies) / len(accuracies)
        echo(f"{label}: test accuracy {mean:.4f} (mean of {len(accuracies)} seeds)")
    echo(f"Report: {write_report([name], context.tracking, context.workspace.reports)}")
