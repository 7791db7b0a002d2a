"""The only way from test images to a model. Only the opening of the test set may import it."""

from search.datasets.cache.prepared import SEALED, Part, Prepared
from spaces.errors import UserError


def sealed_test(prepared: Prepared) -> Part:
    """Return the test part. Raises UserError where the data set has none."""
    if not prepared.counts.get("test"):
        raise UserError(
            f"{prepared.source} has no test part, so there is nothing to unseal: give data with a "
            f"folder test/ (or files named PrivateTest_*)."
        )
    return Part.open(prepared.folder / SEALED)
