"""The exceptions of spaces: a user's mistake, and an architecture that cannot be built."""


class UserError(Exception):
    """A mistake in a command, a file or an input: one sentence that says what, where and what to do.

    The command line prints it without a traceback and exits with 2; a notebook shows the sentence alone.
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython and notebooks show in place of a traceback."""
        return [f"candor: {self}"]


class UnavailableError(Exception):
    """Something that a command needs cannot be used now: a store that is locked, a server that is away.

    The command line prints it without a traceback and exits with 1: the same command may work later.
    """


class InfeasibleArchitecture(Exception):
    """An architecture that cannot be built for these images or within these limits.

    Args:
        reason: why, in words.
        violation: by how much a limit is exceeded, value / limit - 1, above 0.
        parameters: the number of its parameters, where it is known.
        macs: its multiply-adds for one image, where they are known.
    """

    def __init__(
        self, reason: str, *, violation: float, parameters: int | None = None, macs: int | None = None
    ) -> None:
        super().__init__(reason)
        self.violation = violation
        self.parameters = parameters
        self.macs = macs


class HypermodelError(Exception):
    """A hypermodel's own code failed: one line with the file, the line and the cause."""
