"""What is written as TOML is read again as it was."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from experiments.schema.toml_text import dumps

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]))
scalars = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)
tables = st.dictionaries(texts, values, max_size=4)


@given(st.dictionaries(texts, scalars | tables | st.lists(tables, min_size=1, max_size=3), max_size=5))
def test_any_document_survives(document: dict[str, object]) -> None:
    assert tomllib.loads(dumps(document)) == document
