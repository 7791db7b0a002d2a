"""Ask a child what a candidate is and how fast it trains, without an evaluation."""

from collections.abc import Callable
from dataclasses import dataclass

from search.execution.fork_client import ForkServer
from search.execution.messages import (
    Built,
    Decision,
    Epoch,
    EvaluationResult,
    Failed,
    Infeasible,
    Suggest,
    Task,
    Value,
    answer,
    receive,
    send,
)
from search.study.optuna.retry import BrokenStudy
from spaces.domains import Domain, domain_from_dict
from spaces.errors import UserError


@dataclass(frozen=True)
class Probed:
    """What a child said. domains: of the names that it asked for; built: None where it was infeasible."""

    domains: dict[str, Domain]
    built: Built | None = None
    result: EvaluationResult | None = None
    reason: str = ""


def probe(server: ForkServer, task: Task, choose: Callable[[str, Domain], Value]) -> Probed:
    """Let a child do the task, with the values that `choose` gives for names and domains.

    Raises UserError for a mistake of the user's that the child met, BrokenStudy where it breaks down.
    """
    child = server.fork()
    domains: dict[str, Domain] = {}
    built: Built | None = None
    try:
        send(child.pipe, task)
        while True:
            match receive(child.pipe):
                case Suggest(name, domain):
                    domains[name] = domain_from_dict(domain)
                    answer(child.pipe, choose(name, domains[name]))
                case Built() as message:
                    built = message
                    answer(child.pipe, Decision.CONTINUE)
                    if task.describe_only:
                        return Probed(domains, built)
                case Epoch():
                    answer(child.pipe, Decision.CONTINUE)
                case EvaluationResult() as result:
                    return Probed(domains, built, result)
                case Infeasible(reason):
                    return Probed(domains, reason=reason)
                case Failed(kind, message):
                    raise UserError(message) if kind in ("user", "hypermodel") else BrokenStudy(message)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise BrokenStudy("a child that was to try the space died") from None
    finally:
        child.end()
