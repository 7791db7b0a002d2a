"""Find the reader of a source: the modules of `search.imports.readers`, each asked whether it is meant."""

import pkgutil
from functools import cache
from importlib import import_module

import search.imports.readers as package
from search.imports.evaluations import Results
from search.imports.long_table import one_row_each
from search.imports.request import Request, SourceReader, as_source_reader
from search.imports.results import results_of
from search.imports.roles import roles_of
from search.imports.run_files import with_files
from search.imports.table import Table
from spaces.errors import UserError


@cache
def readers() -> dict[str, SourceReader]:
    """Every reader by its module's name."""
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    return {name: as_source_reader(import_module(f"{package.__name__}.{name}")) for name in names}


def read_source(source: str, request: Request) -> Table:
    """Read a source.

    Args:
        source: A file, or an address such as "optuna:sqlite:///study.db".
        request: What is asked of it.

    Returns:
        Its runs.

    Raises:
        UserError: No reader knows the source, or it is not what it should be.
    """
    for reader in readers().values():
        if reader.accepts(source):
            return reader.read(source, request)
    forms = ", ".join(reader.FORM for reader in readers().values())
    raise UserError(f"{source} is no source that can be imported: expected {forms}")


def results_from(source: str, request: Request) -> tuple[Table, Results]:
    """Read a source, decide what its columns are, and judge its records.

    Args:
        source: See `read_source`.
        request: What is asked of it.

    Returns:
        What was read, and the evaluations in it.

    Raises:
        UserError: The source, a column or a cell is not what it should be.
    """
    table = read_source(source, request)
    if table.settings is None:  # a table, where nobody says what a row is
        table = one_row_each(table, request)
    roles = roles_of(table, request)
    table = with_files(table, roles, request)
    return table, results_of(table, roles, request.images, request.test_images)
