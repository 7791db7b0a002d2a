"""Looks a workspace over and mends what can be mended: what `candor doctor` shows, line by line.

`checkup` has the findings, `machine` and `stores` the checks, one function each.
"""

import contextlib
from collections.abc import Iterator

from search.doctor import machine, servers, stores
from search.doctor.checkup import MENDED, NOTE, OK, WRONG, Checkup, Finding
from search.doctor.stores import waiting
from search.safety.secrets import masked
from search.workspace import Workspace
from spaces.errors import UserError

__all__ = ["MENDED", "NOTE", "OK", "WRONG", "Finding", "examine", "waiting"]


def examine(workspace: Workspace, storage: str | None, tracking: str | None, fix: bool) -> Iterator[Finding]:
    """Every finding in its turn. Holds the workspace while it looks, if nobody else does.

    Args:
        workspace: The workspace.
        storage: Optuna's storage; None for the workspace's own.
        tracking: MLflow's address; None for the workspace's own store.
        fix: Mend what can be mended, while nobody works in the workspace.

    Yields:
        Findings, as soon as they are known.
    """
    with contextlib.ExitStack() as stack:
        processes = machine.orphans(workspace, fix)
        holder, state = "", "nobody works here"
        try:
            stack.enter_context(workspace.lock(wait_seconds=0.0))
        except UserError:
            holder = workspace.lock_file.read_text() or "another process"
            state = f"in use by {holder}"
        except OSError as error:
            holder, state = "nobody", f"cannot be written to ({error.strerror})"
        yield Finding("workspace", OK, f"{workspace.folder}: {state}")
        checkup = Checkup(
            workspace, storage or workspace.storage_url, tracking or workspace.tracking_uri, not holder, fix
        )
        yield processes
        for look in (
            machine.disk,
            machine.memory,
            machine.versions,
            servers.hub_servers,
            machine.backend,
            stores.studies,
            stores.runs,
            stores.spool,
            stores.cache,
            stores.leftovers,
        ):
            try:
                yield from look(checkup)
            except Exception as error:
                reason = masked((str(error).strip() or type(error).__name__).splitlines()[0])
                yield Finding(look.__name__, WRONG, reason)
