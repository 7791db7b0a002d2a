"""What `reports` exports stays what it is, whichever of its modules were imported before."""

import importlib
import inspect

import pytest

import reports


@pytest.mark.parametrize("name", sorted(reports._EXPORTS))
def test_an_export_is_a_function_also_after_its_module_was_imported(name: str) -> None:
    importlib.import_module(reports._EXPORTS[name])
    assert inspect.isfunction(getattr(reports, name))
