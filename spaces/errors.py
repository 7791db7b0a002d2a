"""The exceptions that a person who typed a command may see."""


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
