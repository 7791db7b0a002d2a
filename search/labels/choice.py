"""What `[data] labels` asks for: a data set of its own in the cache, with fewer images or other labels.

"drop-train" takes suspects out of the training part alone. A table of votes gives training soft targets, and
every part the majority as its label.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from search.datasets.cache import cache as store
from search.datasets.cache.checksums import CHECKSUMS
from search.datasets.cache.prepared import FOLDERS, MANIFEST, PURGED, Part, Prepared
from search.labels.audit import audit_labels
from search.labels.votes import judge, read_votes
from spaces.errors import UserError

KEEP: Final = "keep"
DROP: Final = "drop-train"
_FORMAT: Final = 1


def choose_labels(
    data: Prepared, labels: str, cache: Path, log: Path, say: Callable[[str], None] = print
) -> Prepared:
    """Return the data set with the labels that a study asks for.

    Args:
        data: The images with the labels of their source.
        labels: "keep", "drop-train", or the path of a table of votes.
        cache: The folder of prepared data sets.
        log: Where training processes write what libraries print.
        say: Shows a sentence to the user.

    Returns:
        `data` itself for "keep", else another entry of the cache.

    Raises:
        UserError: If the table of votes does not fit the images, or a class loses all of its images.
    """
    if labels == KEEP:
        return data
    if labels == DROP:
        return _without_suspects(data, cache, log, say)
    return _by_votes(data, Path(labels), cache, say)


def _without_suspects(data: Prepared, cache: Path, log: Path, say: Callable[[str], None]) -> Prepared:
    audit = audit_labels(data, cache, log, say)
    rows = audit.suspects.rows
    dropped = np.sort(audit.predicted.ids[rows[audit.parts[rows] == "train"]])
    share = len(dropped) / max(1, data.counts["train"])
    note = (
        f"Labels: {len(dropped):,} training images with doubtful labels ({share:.1%}) were left out "
        f'(labels = "{DROP}"); validation and test are as they were.'
    )
    facts = {"how": DROP, "dropped": len(dropped)}
    return _derived(
        data,
        cache,
        {"labels": DROP, "ids": _digest(dropped)},
        facts,
        note,
        lambda name, part: (part, ~np.isin(part.ids, dropped) if name == "train" else None),
    )


def _by_votes(data: Prepared, path: Path, cache: Path, say: Callable[[str], None]) -> Prepared:
    votes, where = read_votes(path), f"[data] labels: {path}"
    parts = {
        name: Part.open(data.folder / folder)
        for name, folder in FOLDERS.items()
        if name != PURGED and (data.folder / folder).is_dir()
    }
    ids = np.concatenate([part.ids for part in parts.values()])
    judged = judge(votes, ids.tolist(), data.class_names, where)
    place = {name: row for row, name in enumerate(ids.tolist())}
    before = np.concatenate([part.labels for part in parts.values()])
    changed = int((judged.shares.argmax(1) != before)[judged.kept].sum())
    note = (
        f"Labels: by the votes of {path.name}, soft targets in training and the majority elsewhere; "
        f"{changed:,} of {int(judged.kept.sum()):,} labels changed; left out: {judged.rejected:,} that the "
        f"table rejects, {judged.tied:,} ties, {judged.absent:,} that it lacks."
    )
    facts = {
        "how": "votes",
        "changed": changed,
        "rejected": judged.rejected,
        "tied": judged.tied,
        "absent": judged.absent,
    }

    def voted(name: str, part: Part) -> tuple[Part, NDArray[np.bool_] | None]:
        if name == PURGED:
            return part, None
        rows = np.array([place[one] for one in part.ids.tolist()], np.int64)
        shares = judged.shares[rows]
        majority = shares.argmax(1).astype(np.int64)
        targets = shares if name == "train" else None
        return replace(part, labels=majority, targets=targets), judged.kept[rows]

    digest = _digest(
        f"{name} {share.tobytes().hex()}"
        for name, share in zip(ids[judged.kept].tolist(), judged.shares[judged.kept], strict=True)
    )
    say(note)
    return _derived(data, cache, {"labels": "votes", "votes": digest}, facts, note, voted)


Change = Callable[[str, Part], tuple[Part, "NDArray[np.bool_] | None"]]


def _derived(
    data: Prepared,
    cache: Path,
    identity: Mapping[str, Any],
    facts: Mapping[str, Any],
    note: str,
    change: Change,
) -> Prepared:
    """Return the entry that `change` makes of each part: other columns, and which rows stay (None: all)."""
    stamp = store.stamp_of(data.folder.name, {**identity, "labels format": _FORMAT})
    known = store.recall(cache, stamp)
    if known is not None:
        return replace(known, name=data.name, source=data.source)
    digest = _digest([data.digest, data.split_digest, *map(str, sorted(identity.items()))])
    counts = dict(data.counts)
    with store.staging(cache.absolute()) as folder:
        staged = folder / "entry"
        copytree(data.folder, staged, copy_function=_linked)
        for own in (CHECKSUMS, MANIFEST):  # written anew: not into the files that are linked
            (staged / own).unlink(missing_ok=True)
        out: list[Part] = []
        for name, below in FOLDERS.items():
            if not (data.folder / below).is_dir() or name == PURGED:
                continue
            part, stays = change(name, Part.open(data.folder / below))
            rows = np.arange(len(part)) if stays is None else np.flatnonzero(stays)
            _require_classes(part.labels[rows], name, data)
            counts[name] = len(rows)
            rmtree(staged / below)
            part.write(rows, staged / below)
            if stays is not None and not stays.all():
                out.append(_rows(Part.open(data.folder / below), np.flatnonzero(~stays)))
        _set_aside(data, out, staged)
        prepared = replace(
            data,
            folder=staged,
            counts=counts,
            digest=digest if identity["labels"] == "votes" else data.digest,
            split_digest=digest,
            notes=(*data.notes, note),
            audit={**data.audit, "labels": dict(facts)},
        )
        prepared.write()
        return store.keep(cache.absolute(), prepared, stamp)


def _set_aside(data: Prepared, out: list[Part], staged: Path) -> None:
    """Put images that are left out beside the purged ones, so that the entry still holds every image."""
    there = data.folder / FOLDERS[PURGED]
    parts = [*([Part.open(there)] if there.is_dir() else []), *out]
    if not out:
        return
    columns = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(Part)
        if field.name != "targets"
    }
    if there.is_dir():
        rmtree(staged / FOLDERS[PURGED])
    Part(**columns).write(np.argsort(columns["ids"], kind="stable"), staged / FOLDERS[PURGED])


def _rows(part: Part, rows: NDArray[np.int64]) -> Part:
    return Part(
        **{field.name: getattr(part, field.name)[rows] for field in fields(Part) if field.name != "targets"}
    )


def _require_classes(labels: NDArray[np.int64], part: str, data: Prepared) -> None:
    """Refuse a training or validation part that has lost a class, or all of its images."""
    missing = [name for number, name in enumerate(data.class_names) if not (labels == number).any()]
    if missing and part == "train":
        raise UserError(
            f"[data] labels leaves no image of {', '.join(missing)} in the {part} part of {data.name}: "
            "give more images of it, or [data] classes without it."
        )
    if not len(labels):
        raise UserError(f"[data] labels leaves no image in the {part} part of {data.name}.")


def _linked(source: str, target: str) -> None:
    """Link a file, which nothing changes; copy it where the disk has no links."""
    try:
        Path(target).hardlink_to(source)
    except OSError:
        Path(target).write_bytes(Path(source).read_bytes())


def _digest(lines: Any) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(f"{line}\n".encode())
    return digest.hexdigest()
