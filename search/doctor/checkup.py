"""What a check is given, and what it finds."""

from collections.abc import Callable
from dataclasses import dataclass

from search.workspace import Workspace

OK, NOTE, WRONG, MENDED = "ok", "note", "wrong", "mended"


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, the verdict (OK, NOTE, WRONG, MENDED), and what was found."""

    subject: str
    verdict: str
    detail: str


@dataclass(frozen=True)
class Checkup:
    """What is looked over. idle: nobody works in the workspace, so that it may be mended."""

    workspace: Workspace
    storage: str
    tracking: str
    idle: bool
    fix: bool

    def mend(self, subject: str, detail: str, act: Callable[[], None]) -> Finding:
        """The finding of something wrong, after mending it where that was asked for and is possible.

        Args:
            subject: What was looked at.
            detail: What is wrong.
            act: Mends it.
        """
        if not self.fix:
            return Finding(subject, WRONG, f"{detail}; --fix mends it")
        if not self.idle:
            return Finding(subject, WRONG, f"{detail}; to be mended when nobody works here")
        act()
        return Finding(subject, MENDED, detail)
