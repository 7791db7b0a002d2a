"""The command line. A command imports what is heavy when it runs, so that --help is quick."""

import inspect
import os
import pkgutil
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import NoReturn

import typer

import experiments.commands
from experiments.failures import damaged_store, passing_reason, path_mistake
from experiments.terminal import safe_streams
from search.safety.import_path import forget_current_folder
from search.safety.secrets import masked
from search.safety.text import record
from spaces.errors import UserError

os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # what MLflow says of its own tables is no news

app = typer.Typer(
    name="candor",
    help="Architecture search for image classifiers that tells you what you can believe.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_PANELS = ("Studies", "Models", "Workspace")


def _commands() -> list[tuple[str, ModuleType]]:
    """Every command's name and module, in the order of the help page."""
    files = pkgutil.walk_packages(experiments.commands.__path__, "experiments.commands.")
    found = {file.name.rpartition(".")[2]: import_module(file.name) for file in files if not file.ispkg}
    return sorted(found.items(), key=lambda pair: (_PANELS.index(pair[1].PANEL), pair[0]))


def _help(module: ModuleType) -> str:
    """A command's docstring without its sections: the options say themselves what they mean."""
    text = inspect.getdoc(module.command) or ""
    return text.partition("\n\nArgs:")[0].partition("\n\nRaises:")[0]


for _name, _module in _commands():
    app.command(_name.rstrip("_"), rich_help_panel=_module.PANEL, help=_help(_module))(_module.command)


def main() -> None:
    """Run the command line: 0 done, 1 failed, 2 wrong usage or input, 130 stopped half-way."""
    forget_current_folder()
    with safe_streams():
        _run()


def _run() -> None:
    try:
        _refuse_empty(sys.argv[1:])
        app(standalone_mode=True)
    except BrokenPipeError:
        sys.exit(1)
    except UserError as error:
        _fail(str(error), 2)
    except Exception as error:
        reason = passing_reason(error)
        if not reason and (mistake := path_mistake(error) or damaged_store(error)):
            _fail(mistake, 2)
        if not reason:
            _fail("".join(traceback.format_exception(error)), 1)
        _fail(f"{reason}. Everything finished is kept; the same command goes on.", 1)


def _refuse_empty(arguments: Sequence[str]) -> None:
    """Raise UserError for an empty argument: as a path it would mean the current folder."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "" in own:
        raise UserError("an argument is empty, perhaps a variable that is not set: fill it, or leave it out")


def _fail(message: str, code: int) -> NoReturn:
    """Print a message without the secrets in it, and end the command."""
    typer.echo(record(masked(f"candor: {message}")), err=True)
    sys.exit(code)
