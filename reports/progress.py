"""How far a study is, in words."""

from typing import NamedTuple

from reports.records.study import StudyRecords
from search.tracking import names


class StudyProgress(NamedTuple):
    """state is "running", "stopped" or "finished"; share is what is done, None where the total is unknown."""

    state: str
    text: str
    share: float | None


def progress(study: StudyRecords) -> StudyProgress:
    """How much of explore and confirm is done."""
    frame = study.evaluations
    counted = frame.state.isin(names.COUNTED)
    explore, confirm = frame.stage == names.EXPLORE, frame.stage == names.CONFIRM
    trials = 0 if study.about.get("grid") else int(study.protocol.get("trials") or 0)
    rounds = study.protocol.get("seeds") == "auto"  # how many seeds they take is not known before
    seeds = 0 if rounds else int(study.protocol.get("seeds") or 0)
    planned = study.confirmations.group.nunique() * seeds
    parts = [
        (int((explore & counted).sum()), trials, "explored"),
        (int((confirm & counted).sum()), planned, "confirmed"),
    ]
    told = [_part(*part) for part in parts if part[0] or part[1]]
    total = sum(total for _, total, _ in parts)
    share = min(1.0, sum(done for done, _, _ in parts) / total) if total and not rounds else None
    state = "running" if study.running else "finished" if study.run.status == "FINISHED" else "stopped"
    return StudyProgress(
        state, f"{state}, {', '.join(told)}" if told else f"{state}, nothing evaluated yet", share
    )


def _part(done: int, total: int, word: str) -> str:
    return f"{done:,} of {total:,} {word}" if total and done <= total else f"{done:,} {word}"
