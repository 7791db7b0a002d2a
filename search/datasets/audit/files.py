"""What an audit leaves behind: a self-contained page, audit.json and CSV lists.

It shows test images, their labels and their duplicates, and never a prediction.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from search.datasets.audit.between_sets import Overlap
from search.datasets.audit.collection import Collection
from search.datasets.audit.findings import sentences
from search.datasets.audit.galleries import galleries, overlap_gallery
from search.datasets.audit.lists import write_lists, write_overlap
from search.datasets.cache.prepared import Prepared
from search.safety.paths import below, file_name
from search.safety.text import html

PAGE: Final = "audit.html"
_TEMPLATE: Final = Path(__file__).with_name("page.html")


def write_audit(collections: Sequence[Collection], pairs: Sequence[Overlap], out: Path) -> None:
    """Write the page, audit.json and the lists into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    for collection in collections:
        folder = out if len(collections) == 1 else below(out, file_name(collection.prepared.name))
        folder.mkdir(exist_ok=True)
        write_lists(collection, folder)
    for overlap in pairs:
        sides = [file_name(side.prepared.name) for side in (overlap.one, overlap.other)]
        write_overlap(overlap, out / f"{'_and_'.join(sides)}.csv")
    facts = {
        "sets": [_facts(collection.prepared) for collection in collections],
        "across": [overlap.to_dict() for overlap in pairs],
    }
    (out / "audit.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")
    (out / PAGE).write_text(_page(collections, pairs), encoding="utf-8")


def _facts(prepared: Prepared) -> dict[str, Any]:
    shown = (
        "name",
        "source",
        "synthetic",
        "class_names",
        "image_shape",
        "counts",
        "digest",
        "notes",
        "audit",
    )
    return {name: getattr(prepared, name) for name in shown}


def _page(collections: Sequence[Collection], pairs: Sequence[Overlap]) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=html
    )
    environment.filters["thousands"] = lambda number: f"{number:,}"
    environment.filters["percent"] = lambda share: f"{100 * share:.1f}%"
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        sets=[
            {
                "prepared": collection.prepared,
                "audit": collection.prepared.audit,
                "sentences": sentences(collection.prepared.audit, collection.prepared.name),
                "galleries": galleries(collection),
            }
            for collection in collections
        ],
        pairs=[
            {"across": overlap, "facts": overlap.to_dict(), "gallery": overlap_gallery(overlap)}
            for overlap in pairs
        ],
    )
