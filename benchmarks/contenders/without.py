"""The `candor` command with a part taken out that no setting takes out.

python -m benchmarks.contenders.without fork_server|refusal_of_repeats ARGUMENTS OF candor...
"""

import sys

from experiments.cli import main
from search.execution.fork_client import Child, ForkServer
from search.study.stages import explore


def fork_server() -> None:
    """Every child is the only one of a server that imports Keras for it."""
    fork, end = ForkServer.fork, Child.end

    def cold(self: ForkServer) -> Child:
        return fork(ForkServer(self._log, self._body, self._inherit))

    def end_both(self: Child) -> None:
        end(self)
        self._server.close()

    ForkServer.fork, Child.end = cold, end_both  # type: ignore[method-assign]


def refusal_of_repeats() -> None:
    """A candidate that was drawn before is trained again."""
    explore.find_repeat = lambda trials, work, built: None  # type: ignore[assignment]


if __name__ == "__main__":
    {"fork_server": fork_server, "refusal_of_repeats": refusal_of_repeats}[sys.argv[1]]()
    del sys.argv[1]
    main()
