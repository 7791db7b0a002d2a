"""The audit that a person asks for: of one data set, or of several against each other."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

from search.datasets.audit.between_sets import compare
from search.datasets.audit.collection import Collection
from search.datasets.audit.files import PAGE, write_audit
from search.datasets.audit.findings import sentences
from search.datasets.cache.prepared import Prepared
from search.datasets.part_checks import overview
from search.datasets.prepare import prepare
from search.safety.output import OutputFolder
from spaces.errors import UserError


def audit(
    sources: Sequence[str],
    cache: Path,
    out: Path,
    say: Callable[[str], None] = print,
    *,
    image_size: tuple[int, int] | None = None,
    channels: int | None = None,
    limit: int | None = None,
    leaks: str = "purge-train",
    group: str | None = None,
    force: bool = False,
) -> Path:
    """Audit data sets, each alone and every two against each other, and write a page.

    Lists of a single data set lie beside the page, those of several in one folder each. The findings are
    also said as sentences.

    Args:
        sources: Data sets: folders, archives, tables or names.
        cache: The folder of prepared data sets.
        out: The folder to write to.
        say: Shows a sentence to the user.
        image_size: Height and width to resize to, in pixels; None for the size of most images.
        channels: 1 (gray) or 3 (RGB); None for what most images have.
        limit: The number of images to draw from each data set; None for all.
        leaks: What to do with training images that have a duplicate in an evaluation part: "purge-train",
            "report" or "refuse".
        group: A column of the source, or a pattern of file names: images of one group never straddle splits;
            None for no groups.
        force: Whether to overwrite files that Candor did not write.

    Returns:
        The page.

    Raises:
        UserError: If a data set cannot be prepared, or `out` cannot be written or holds a file of somebody
            else's.
    """
    if not sources:
        raise UserError("Nothing to audit: name at least one data set.")
    sets = [
        prepare(
            source,
            cache,
            image_size=image_size,
            channels=channels,
            limit=limit,
            leaks=leaks,
            group=group,
            say=say,
        )
        for source in sources
    ]
    collections = [Collection.of(_distinct(prepared, number, sets)) for number, prepared in enumerate(sets)]
    pairs = []
    for one, other in combinations(collections, 2):
        say(f"data: comparing {one.prepared.name} with {other.prepared.name}")
        pairs.append(compare(one, other))
    with OutputFolder(out, force=force) as files, TemporaryDirectory() as folder:
        write_audit(collections, pairs, Path(folder))
        files.take(Path(folder))
    for collection in collections:
        data = collection.prepared
        for line in overview(data.name, data.class_names, data.audit, data.notes):
            say(line)
        for sentence in sentences(collection.prepared.audit, collection.prepared.name):
            say(sentence)
    for overlap in pairs:
        for sentence in overlap.sentences():
            say(sentence)
    return out / PAGE


def _distinct(prepared: Prepared, number: int, sets: Sequence[Prepared]) -> Prepared:
    """Give sets of one name different ones, since files are named after them."""
    same = [index for index, other in enumerate(sets) if other.name == prepared.name]
    return prepared if len(same) == 1 else replace(prepared, name=f"{prepared.name}-{number + 1}")
