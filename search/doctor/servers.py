"""The check of a hub: whether its servers run, and how many connections are in use."""

from collections.abc import Iterator

from search.doctor.checkup import NOTE, OK, Checkup, Finding
from search.hub import hub


def hub_servers(checkup: Checkup) -> Iterator[Finding]:
    """Check the workspace's hub, where it has one.

    Args:
        checkup: What is looked over.

    Yields:
        One line.
    """
    found = hub.state(checkup.workspace)
    if found is not None:
        runs, detail = found
        yield Finding("hub", OK if runs else NOTE, detail)
