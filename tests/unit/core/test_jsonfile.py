from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.core.jsonfile import json_text


class Sign(StrEnum):
    """A text that is not of the type `str` itself."""

    TRAIN = "t"


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
_KEYS = st.text() | st.integers() | st.none() | st.booleans() | st.sampled_from(Sign)
_VALUES = st.recursive(
    _SCALARS | st.sampled_from(Sign),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(_KEYS, inner),
)


@given(_VALUES)
def test_it_is_what_the_standard_library_writes(value: Any) -> None:
    assert json_text(value) == json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)


def test_what_is_no_json_is_turned_into_it_or_refused() -> None:
    value = {"names": {"b"}, "deep": [{"more": frozenset("a")}]}
    assert json_text(value, sorted) == json.dumps(value, indent=2, default=sorted)
    with pytest.raises(TypeError):
        json_text(value)
    with pytest.raises(TypeError):
        json_text({(1, 2): 3})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text({"a": [value]})
