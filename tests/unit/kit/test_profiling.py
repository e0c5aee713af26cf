"""Profiles of windows: what is counted, and that hours make days whatever the order and the chunks."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custody.core.profiles import add, decode, edges_digest, empty, encode, from_texts, subtract, texts, total
from custody.domain.monitoring import Counts, Edges, Profile
from custody.kit.profiling import edges_of, profile_of

COLUMNS = ("amount", "plan", "paid", "day", "at", "secret")
KINDS = ("number", "text", "boolean", "date", "timestamp", "number")
SCHEMA = pa.schema(
    zip(
        COLUMNS,
        (pa.float64(), pa.string(), pa.bool_(), pa.date32(), pa.timestamp("us", "UTC"), pa.int64()),
        strict=True,
    )
)
moments = st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1))  # noqa: DTZ001 - Arrow's are UTC
rows = st.tuples(
    st.none() | st.floats(allow_nan=True, width=32) | st.sampled_from([0.0, -0.0, 1.5]),
    st.none() | st.sampled_from(["a", "b", "c", ""]) | st.text(max_size=3),
    st.none() | st.booleans(),
    st.none() | moments.map(datetime.date),
    st.none() | moments,
    st.none() | st.integers(0, 9),
)
tables = st.lists(rows, max_size=40)


def table_of(values: list[Any]) -> pa.Table:
    return pa.table(
        [pa.array(column, item.type) for column, item in zip(_columns(values), SCHEMA, strict=True)], SCHEMA
    )


def _columns(values: list[Any]) -> list[list[Any]]:
    return [list(column) for column in zip(*values, strict=True)] or [[] for _ in COLUMNS]


def edges_for(values: list[Any]) -> dict[str, Edges]:
    return edges_of(table_of(values), COLUMNS, KINDS, {"secret"})


def one(values: Any, kind: str, reference: list[Any], **options: Any) -> Counts:
    """The counts of one column of `values` over the edges of `reference`."""
    edges = edges_of(pa.table({"x": reference}), ["x"], [kind], **options)
    return profile_of(pa.table({"x": values}), edges).columns["x"]


@settings(max_examples=40)
@given(tables, st.lists(tables, min_size=1, max_size=24))
def test_hours_add_up_to_the_day_exactly(reference: list[Any], hours: list[list[Any]]):
    edges = edges_for(reference)
    parts = [profile_of(table_of(hour), edges) for hour in hours]
    day = profile_of(table_of([row for hour in hours for row in hour]), edges)
    assert total(parts) == day
    assert total(reversed(parts)) == day
    assert add(day, empty(edges)) == day
    rest = subtract(day, parts[0])
    assert texts(add(rest, parts[0])) == texts(day)


@settings(max_examples=40)
@given(tables, tables, st.randoms(use_true_random=False), st.integers(1, 7))
def test_order_and_chunks_do_not_show(reference: list[Any], values: list[Any], random: Any, size: int):
    edges = edges_for(reference)
    mixed = random.sample(values, len(values))
    chunks = [table_of(mixed[start : start + size]) for start in range(0, len(mixed), size)] or [table_of([])]
    coded = pa.concat_tables(chunks)
    coded = coded.set_column(1, "plan", coded.column("plan").dictionary_encode())
    assert profile_of(coded, edges) == profile_of(table_of(values), edges)
    assert edges_of(coded, COLUMNS, KINDS, {"secret"}) == edges_of(table_of(values), COLUMNS, KINDS, {"secret"})


@given(tables, tables)
def test_every_row_is_counted_once_and_texts_read_back(reference: list[Any], values: list[Any]):
    edges = edges_for(reference)
    found = profile_of(table_of(values), edges)
    assert [counts.rows for counts in found.columns.values()] == [len(values)] * len(COLUMNS)
    assert {name: decode(encode(counts)) for name, counts in found.columns.items()} == found.columns
    assert from_texts(texts(found), found.rows, found.edges) == found
    assert {name: Edges.from_dict(item.to_dict()) for name, item in edges.items()} == edges
    assert edges_digest(edges) == found.edges


@given(tables)
def test_the_reference_has_nothing_new_and_nothing_out_of_range(reference: list[Any]):
    found = profile_of(table_of(reference), edges_for(reference))
    for counts in found.columns.values():
        assert counts.new == counts.text == 0
    assert all(found.columns[name].below == found.columns[name].above == 0 for name in ("day", "at"))


def test_numbers_fall_into_tenths_that_end_with_their_edge():
    edges = edges_of(pa.table({"x": list(range(1, 101))}), ["x"], ["number"])["x"]
    assert edges == Edges(tuple(float(edge) for edge in range(10, 100, 10)), low=1.0, high=100.0, mode=1.0)
    found = one([10, 10.5, 100, 109.9, 110, 1000, -8.9, -9], "number", list(range(1, 101)))
    assert found.cells == (3, 1, 0, 0, 0, 0, 0, 0, 0, 4)
    assert (found.below, found.above, found.least, found.greatest) == (1, 2, -9.0, 1000.0)


def test_a_column_with_few_values_has_a_cell_for_each_and_a_constant_has_one():
    assert edges_of(pa.table({"x": [0] * 99 + [1]}), ["x"], ["number"])["x"].edges == (0.0,)
    assert edges_of(pa.table({"x": [7, 7, 7]}), ["x"], ["number"])["x"].cells == 1
    assert edges_of(pa.table({"x": [float(number) for number in range(12)] + [50.0] * 999}), ["x"], ["number"])[
        "x"
    ].edges == (11.0,)


def test_categories_have_a_cell_from_one_percent_on_and_the_rest_is_known_by_name():
    reference = ["a"] * 70 + ["b"] * 129 + ["rare"]
    edges = edges_of(pa.table({"x": reference}), ["x"], ["text"])["x"]
    assert edges == Edges(values=("b", "a"), kind="text", mode="b", others=("rare",))
    assert one(["a", "b", "b", "rare", "z", None], "text", reference) == Counts((2, 1, 1), 1, 1, mode=2)


def test_a_category_that_is_declared_is_not_new_though_nobody_had_it():
    table = pa.table({"x": ["a", "a", "b"]})
    edges = edges_of(table, ["x"], ["text"], declared={"x": ("a", "b", "c", 7)})
    assert edges["x"].others == ("7", "c")
    assert profile_of(pa.table({"x": ["c", "d", "7"]}), edges).columns["x"] == Counts((0, 0, 2), new=1)


def test_of_a_column_with_too_many_values_none_is_new():
    reference = [f"customer {number}" for number in range(200)]
    assert one(["customer 1", "customer 999", None], "text", reference) == Counts((2,), 1)


@pytest.mark.parametrize("kind", ["number", "text"])
def test_of_a_hidden_column_nothing_is_kept_but_how_many_there_are(kind: str):
    reference = [1, 1, 2] if kind == "number" else ["a", "a", "b"]
    edges = edges_of(pa.table({"x": reference}), ["x"], [kind], {"x"})
    assert (edges["x"].cells, edges["x"].low, edges["x"].high, edges["x"].mode) == (1, None, None, None)
    assert edges["x"].to_dict().keys() <= {"kind", "values", "hidden"}
    assert profile_of(pa.table({"x": [*reference, None]}), edges).columns["x"] == Counts((3,), 1)


@pytest.mark.parametrize(
    ("kind", "reference", "values", "read", "text"),
    [
        ("number", [0, 1, 2], ["0", " 1 ", "2.0", "1e0", "1_0", "x", "0x1", " ", "", None], 4, 4),
        ("boolean", [True, False], ["true", "False", "yes", None], 2, 1),
        ("date", [date(2012, 1, 1)], ["2012-01-05", "05/01/12", "20120105", "2012-02-30"], 1, 3),
        ("timestamp", [datetime(2012, 1, 1)], ["2012-01-05", "2012-01-05T07:00:00+01:00", "5.1.2012"], 2, 1),  # noqa: DTZ001
        ("number", [0, 1, 2], [date(2012, 1, 1), None], 0, 1),
        ("date", [date(2012, 1, 1)], [3, 4, None], 0, 2),
    ],
)
def test_what_cannot_be_read_as_the_reference_has_it_is_text(
    kind: str, reference: list[Any], values: list[Any], read: int, text: int
):
    found = one(values, kind, reference)
    assert (found.known, found.text) == (read, text)


def test_numbers_where_the_reference_has_texts_are_taken_as_they_are_written():
    assert one([1, 2, 2, 3], "text", ["1", "2"]).cells == (1, 2, 0)
    assert one([1.0, 2.5], "text", ["1", "2.5"]).cells == (1, 1, 0)


def test_columns_of_codes_are_read_as_their_values_and_lists_as_no_texts():
    numbers = pa.array([0, 1, 1, None]).dictionary_encode()
    assert one(numbers, "number", [0, 1, 2]).cells == (1, 2, 0)
    assert one(pa.array(["a", "b", None, "x"], pa.string_view()), "text", ["a", "b"]) == Counts((1, 1, 0), 1, 1, mode=1)
    assert one([["a"], None, ["b", "c"]], "text", ["a", "b"]) == Counts((0, 0, 0), 1, text=2)


def test_a_column_that_is_not_there_counts_as_null_and_a_new_one_is_named():
    edges = edges_of(pa.table({"x": [1, 2], "y": [1, 2]}), ["x", "y"], ["number", "number"])
    found = profile_of(pa.table({"y": [1, 1, 2], "z": [0, 0, 0]}), edges)
    assert (found.missing, found.unknown) == (("x",), ("z",))
    assert found.columns["x"] == Counts((0, 0), 3)
    both = add(found, profile_of(pa.table({"x": [1], "y": [1]}), edges))
    assert (both.rows, both.missing, both.unknown, both.columns["x"].nulls) == (4, (), ("z",), 3)


def test_profiles_over_different_edges_do_not_add_up():
    a, b = (empty(edges_of(pa.table({"x": values}), ["x"], ["number"])) for values in ([1, 2], [1, 2, 3]))
    with pytest.raises(ValueError, match="different edges"):
        add(a, b)
    with pytest.raises(ValueError, match="more than the whole"):
        subtract(Profile("e", 1, {"x": Counts((1,))}), Profile("e", 2, {"x": Counts((2,))}))


@pytest.mark.parametrize("text", ["", "|1", "1 x", "1|2|3", "1 -2", "1|1 1 1 1 1 1 1", "1|0|1 2|3", "1.5"])
def test_what_are_no_counts_is_refused(text: str):
    with pytest.raises(ValueError, match=r"."):
        decode(text)


def test_the_text_of_counts():
    assert encode(Counts((4, 0, 12), nulls=3, mode=9, least=-0.25, greatest=1e20)) == "4 0 12|3 0 0 0 0 9|-0.25 1e+20"
    assert encode(Counts((4,))) == "4"
    assert encode(Counts((0, 1), least=5.0, greatest=5.0)) == "0 1||5 5"
