"""What a study was: data, protocol, effort, software, and the command that makes it again."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from reports.analysis import Analysis
from reports.columns import count, duration
from reports.records.study import StudyRecords
from search.tracking import names

PARTS = ("train", "validation", "test")
#: What of the protocol a reader asks for first; the rest follows by name.
PROTOCOL = (
    "objective",
    "trials",
    "seeds",
    "leaders",
    "epochs",
    "patience",
    "hours",
    "sampler",
    "pruner",
    "tau",
    "margin",
)
Facts = list[tuple[str, str]]
Sections = list[tuple[str, Facts]]


def at_a_glance(analysis: Analysis) -> Facts:
    """The handful of facts that stand at the top."""
    study = analysis.study
    frame, data = study.evaluations, study.data
    confirmed, counts = study.confirmations, _counts(study)
    built = confirmed.candidate[confirmed.candidate != ""]
    facts = [
        ("Data", str(data.get("name", ""))),
        (f"Images ({', '.join(counts)})", " / ".join(f"{number:,}" for number in counts.values())),
        ("Folds", folds(study).partition(";")[0]),
        ("Labels", labels(study)),
        (
            "Explored",
            _many(int(((frame.stage == names.EXPLORE) & frame.state.isin(names.COUNTED)).sum()), "trial"),
        ),
        ("Confirmed", _confirmed(built.nunique(), int(confirmed.seed.nunique()))),
        ("Training time", duration(float(frame.seconds.sum())) if frame.seconds.notna().any() else ""),
        ("Looks at validation", str(study.looks) if analysis.comparison else ""),
        ("Test set", test_set(study)),
    ]
    return [(name, value) for name, value in facts if value]


def in_full(analysis: Analysis) -> Sections:
    """Everything that makes the study what it is."""
    study = analysis.study
    return [
        (title, facts)
        for title, facts in (
            ("Data", _data(study)),
            ("Protocol", _protocol(analysis)),
            ("Effort", _effort(study)),
            ("Software", _software(study)),
        )
        if facts
    ]


def _counts(study: StudyRecords) -> dict[str, int]:
    """Images in each part, in the order in which the parts are used."""
    counts = study.data.get("counts") or {}
    return {part: counts[part] for part in (*PARTS, *sorted({*counts} - {*PARTS})) if part in counts}


def _place(name: str) -> int:
    return PROTOCOL.index(name) if name in PROTOCOL else len(PROTOCOL)


def folds(study: StudyRecords) -> str:
    """How train and validation are judged together; "" where validation is a part of its own."""
    how = "of train and validation together; each image is judged by a network that has not seen it"
    return f"{study.folds} {how}" if study.folds else ""


def labels(study: StudyRecords) -> str:
    """What was done about doubtful labels; "" where they are as the source has them."""
    done = (study.data.get("audit") or {}).get("labels") or {}
    if done.get("how") == "drop-train":
        return f"{count(done['dropped'])} doubtful ones left out of train"
    if done.get("how") == "votes":
        return f"votes: soft targets in training, else the majority ({count(done['changed'])} changed)"
    return ""


def test_set(study: StudyRecords) -> str:
    """Whether the test set is sealed; how often it was opened over all experiments."""
    counts = study.data.get("counts") or {}
    if "imported" in study.about:
        return ""
    if counts and not counts.get("test"):
        return "none in the data"
    if not study.openings:
        return "sealed" if counts else ""
    mine = "" if not study.unsealings.empty else ", not by this study"
    return f"opened {_times(study.openings)}{mine}"


def date(milliseconds: int | None) -> str:
    """A time that MLflow recorded, in UTC."""
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _data(study: StudyRecords) -> Facts:
    data = study.data
    if not data:
        return []
    shape, classes = data.get("image_shape") or [], data.get("class_names") or []
    counts, audit = _counts(study), data.get("audit") or {}
    facts = [
        ("Source", str(data.get("source", "")) + (" (synthetic)" if data.get("synthetic") else "")),
        ("Images", " × ".join(map(str, shape))),
        ("Classes", f"{len(classes)}: {', '.join(classes)}" if classes else ""),
        *((f"Split {part}", f"{number:,} images") for part, number in counts.items()),
        ("Folds", folds(study)),
        ("Twins purged from train", count(audit["purged"]) if "purged" in audit else ""),
        *(_leaks(audit.get("leaks") or {})),
        ("Digest of the data", _digest(data.get("digest"))),
        ("Digest of the splits", _digest(data.get("split_digest"))),
        ("Digest of the test set", _digest(data.get("test_digest"))),
        ("Test set", test_set(study)),
        *(("Note", note) for note in data.get("notes") or ()),
        *(
            ("Read as", told)
            for told in (study.about.get("imported") or {}).get("guess") or ()
            if not told.startswith("not used")
        ),
    ]
    return [(name, value) for name, value in facts if value]


def _leaks(leaks: Mapping[str, Any]) -> Facts:
    return [
        (
            f"Twins: {where.replace('_', ' ')}",
            f"{leak['images']:,} images ({leak['share']:.1%}) in the source",
        )
        for where, leak in leaks.items()
        if leak.get("images")
    ]


def _protocol(analysis: Analysis) -> Facts:
    study = analysis.study
    ordered = sorted(study.protocol, key=lambda name: (_place(name), name))
    facts = [(name.replace("_", " "), _value(study.protocol[name])) for name in ordered]
    space = study.about.get("space")
    told = [("space", ", ".join(space) if isinstance(space, list) else str(space or "")), *facts]
    told.append(("begins with (study/trial)", ", ".join(study.about.get("leads") or ())))
    if analysis.comparison:
        told.append(("look", f"{study.looks}: tests at alpha {analysis.comparison.alpha:.4g}"))
    if analysis.decision:
        told.append(("rounds", analysis.decision.line))
    return [(name, value) for name, value in told if value]


def _effort(study: StudyRecords) -> Facts:
    frame, ended = study.evaluations, study.run.ended
    facts = [
        ("Began", date(study.run.started)),
        ("Ended", date(ended) if not study.running else ""),
        ("Evaluations", count(len(frame))),
        ("Training time", duration(float(frame.seconds.sum())) if frame.seconds.notna().any() else ""),
        (
            "Images per second",
            count(frame.images_per_second.median()) if _any(frame.images_per_second) else "",
        ),
        ("Largest memory", f"{frame.peak_rss_mib.max():,.0f} MiB" if _any(frame.peak_rss_mib) else ""),
    ]
    return [(name, value) for name, value in facts if value]


def _any(column: Any) -> bool:
    return bool(column.notna().any())


def _software(study: StudyRecords) -> Facts:
    about, tags = study.about, study.run.tags
    commit = tags.get(names.GIT_COMMIT, "")[:12]
    dirty = " with uncommitted changes" if tags.get(names.GIT_DIRTY) == "true" else ""
    hosts = {run.tags[names.HOST] for run in study.runs.values() if names.HOST in run.tags}
    facts = [
        ("Commit", commit + dirty if commit else ""),
        ("Precision", str(about.get("precision", ""))),
        ("Threads for each child", str(about.get("threads", ""))),
        ("Backend", str(about.get("backend", ""))),
        ("Machines", count(len(hosts)) if hosts else ""),
        *((name, str(version)) for name, version in sorted((about.get("versions") or {}).items())),
    ]
    return [(name, value) for name, value in facts if value]


def _value(value: Any) -> str:
    if value is None or value == {} or value == []:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_value(each)}" for key, each in value.items())
    return str(value)


def _digest(text: str | None) -> str:
    return text[:16] if text else ""


def _many(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}" if number else ""


def _confirmed(candidates: int, seeds: int) -> str:
    return f"{_many(candidates, 'candidate')} on {_many(seeds, 'seed')}" if candidates else ""


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")
