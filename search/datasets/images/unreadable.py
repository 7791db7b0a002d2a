"""Images that cannot be used: counted, named, and borne up to one in a hundred."""

from collections.abc import Sequence
from typing import Final

from spaces.errors import UserError

TOLERATED: Final = 0.01  # share of a source's images
NAMED: Final = 5


def leave_out(broken: Sequence[tuple[str, str]], total: int, what: str, where: str) -> tuple[str, ...]:
    """Return a note on the `broken` ones, (name, reason) each, out of `total`; none, if there are none.

    Raises UserError where they are 1% or more.
    """
    if not broken:
        return ()
    first = "; ".join(f"{name} ({reason})" for name, reason in broken[:NAMED])
    more = f"; and {len(broken) - NAMED:,} more" if len(broken) > NAMED else ""
    found = f"{len(broken):,} of {total:,} {what} cannot be used: {first}{more}"
    if len(broken) >= TOLERATED * total:
        raise UserError(f"{where}: {found}. That is 1% or more: repair or remove them.")
    return (f"{found}. They were left out.",)
