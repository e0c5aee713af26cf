from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.core.expression import ExpressionError, parse_condition
from custody.domain.search import All, Comparison, Either, IsNull, Not, Operator


def fault(text: str) -> tuple[str, int, int]:
    """Return what is wrong with a condition, in which column, how wide."""
    with pytest.raises(ExpressionError) as caught:
        parse_condition(text)
    [problem] = caught.value.problems
    assert problem.place is not None
    assert problem.help
    return problem.message, problem.place.column, problem.place.width


def test_and_binds_closer_than_or_and_not_closest() -> None:
    found = parse_condition("not a = 1 and b > 2 or c is not null")
    assert isinstance(found, Either)
    first, second = found.terms
    assert isinstance(first, All)
    assert isinstance(first.terms[0], Not)
    assert isinstance(second, Not)
    assert isinstance(second.term, IsNull)


@pytest.mark.parametrize(
    ("text", "operator", "values"),
    [
        ("a=1", Operator.EQUAL, (1,)),
        ("a == -2.5", Operator.EQUAL, (-2.5,)),
        ("a <> 1e-3", Operator.UNEQUAL, (0.001,)),
        ("a >= true", Operator.AT_LEAST, (True,)),
        ("when > 2026-10-01T12:00Z", Operator.MORE, ("2026-10-01T12:00Z",)),
        ("data = customers@v3", Operator.EQUAL, ("customers@v3",)),
        ("a = 'it is \"so\"'", Operator.EQUAL, ('it is "so"',)),
        ('a like "%(x) or y%"', Operator.LIKE, ("%(x) or y%",)),
        ("train.x in (1, two, '3')", Operator.IN, (1, "two", "3")),
        ("A IN (1)", Operator.IN, (1,)),
    ],
)
def test_comparisons(text: str, operator: Operator, values: tuple[object, ...]) -> None:
    found = parse_condition(text)
    assert isinstance(found, Comparison)
    assert (found.operator, tuple(item.value for item in found.values)) == (operator, values)
    assert found.name.column == 1


@pytest.mark.parametrize(
    ("text", "message", "column", "width"),
    [
        ("", "empty", 1, 1),
        ("   ", "empty", 1, 1),
        ("roc_auc", "a comparison is expected after roc_auc", 8, 1),
        ("0.8 < roc_auc", "a name is expected here, not '0.8'", 1, 3),
        ("a > 1 and", "not the end", 10, 1),
        ("a > 1 b > 2", "'b' is not expected", 7, 1),
        ("(a > 1", "never closed", 1, 1),
        ("a > 1)", "')' is not expected", 6, 1),
        ("a in 1", "after `in` comes a list", 6, 1),
        ("a in (1, 2", "this list is never closed", 6, 1),
        ("a = null", "nothing equals null", 5, 4),
        ("a is 3", "after `is` comes", 6, 1),
        ("a = 'b", "this text is never closed", 5, 1),
        ("a ! 3", "'!' means nothing", 3, 1),
        ("a not > 3", "`not` comes before", 7, 1),
        ("a > > 3", "a value is expected", 5, 1),
        ("a; drop table runs", "a name is expected", 1, 2),
        ("not " * 60 + "a = 1", "levels", 201, 3),
        ("(" * 60 + "a = 1" + ")" * 60, "levels", 51, 1),
        ("a = 1 or " * 900 + "a = 1", "characters", 1, 1),
    ],
)
def test_faults_have_their_place(text: str, message: str, column: int, width: int) -> None:
    said, where, wide = fault(text)
    assert message in said
    assert (where, wide) == (column, width)


WORDS = st.sampled_from(
    [
        "a",
        "train.b",
        "(",
        ")",
        "and",
        "or",
        "not",
        "in",
        "like",
        "is",
        "null",
        "=",
        "<",
        "'x y'",
        "3",
        ",",
        "-7d",
        "!",
        '"',
    ]
)


@given(st.lists(WORDS, max_size=12).map(" ".join) | st.text(max_size=40))
def test_any_text_is_a_condition_or_a_fault_within_it(text: str) -> None:
    try:
        parse_condition(text)
    except ExpressionError as error:
        [problem] = error.problems
        assert problem.place is not None
        assert 1 <= problem.place.column <= len(text) + 1
