from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
import math
import struct
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from custody.content import logical
from custody.content.logical import column_digest, column_digests, logical_digest, table_digest
from custody.errors import ContractError

NOON = dt.datetime(2026, 1, 1, 12)  # noqa: DTZ001 - of a clock without a zone
INTEGERS = st.integers(-(2**63), 2**63 - 1)
SMALL = st.integers(-128, 127)
NUMBERS = st.floats(allow_nan=True, width=64)
TEXTS = st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=6)
TIMES = st.datetimes(NOON.replace(year=1700), NOON.replace(year=2200))
DATES = st.dates()
KINDS = {
    "integer": (INTEGERS, pa.int64()),
    "number": (NUMBERS, pa.float64()),
    "string": (TEXTS, pa.string()),
    "boolean": (st.booleans(), pa.bool_()),
    "date": (DATES, pa.date32()),
    "timestamp": (TIMES, pa.timestamp("us")),
}


@st.composite
def tables(draw: st.DrawFn, least: int = 0) -> pa.Table:
    rows = draw(st.integers(least, 30))
    names = draw(st.lists(TEXTS, min_size=1, max_size=4, unique=True))
    columns = {}
    for name in names:
        values, kind = KINDS[draw(st.sampled_from(sorted(KINDS)))]
        columns[name] = pa.array(draw(st.lists(st.none() | values, min_size=rows, max_size=rows)), kind)
    return pa.table(columns)


def chunked(table: pa.Table, size: int) -> pa.Table:
    pieces = [table.slice(start, size) for start in range(0, table.num_rows, size)]
    return pa.concat_tables(pieces) if pieces else table


@given(tables(), st.integers(1, 7), st.randoms())
def test_how_a_table_is_held_does_not_count(table: pa.Table, size: int, random: object) -> None:
    names = list(table.column_names)
    random.shuffle(names)  # type: ignore[attr-defined]
    other = chunked(table.select(names).replace_schema_metadata({"pandas": "x"}), size)
    strings = [name for name in names if pa.types.is_string(table.schema.field(name).type)]
    for number, name in enumerate(strings):
        column = other.column(name)
        column = column.dictionary_encode() if number % 2 else column.cast(pa.large_string())
        other = other.set_column(other.column_names.index(name), name, column)
    assert logical_digest(other) == logical_digest(table)


@settings(max_examples=50)
@given(tables(), st.sampled_from(["snappy", "zstd", "none"]), st.integers(1, 9), st.booleans())
def test_a_parquet_round_trip_does_not_count(table: pa.Table, codec: str, rows: int, dictionary: object) -> None:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression=codec, row_group_size=rows, use_dictionary=dictionary)
    assert logical_digest(pq.read_table(io.BytesIO(sink.getvalue()))) == logical_digest(table)


@given(st.lists(st.none() | SMALL, max_size=20))
def test_the_width_of_integers_does_not_count(values: list[int | None]) -> None:
    digests = {
        column_digest(pa.chunked_array([pa.array(values, kind)])) for kind in (pa.int8(), pa.int32(), pa.int64())
    }
    assert len(digests) == 1


@given(tables(least=1), st.data())
def test_a_changed_value_counts_and_only_in_its_column(table: pa.Table, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(table.column_names))
    row = data.draw(st.integers(0, table.num_rows - 1))
    kind = table.schema.field(name).type
    strategy = next(values for values, type_ in KINDS.values() if type_ == kind)
    values = table.column(name).to_pylist()
    old, new = values[row], data.draw(st.none() | strategy)
    same = old == new or (isinstance(old, float) and isinstance(new, float) and math.isnan(old) and math.isnan(new))
    values[row] = new
    other = table.set_column(table.column_names.index(name), name, pa.array(values, kind))
    before, after = column_digests(table), column_digests(other)
    assert (before[name] == after[name]) is same
    assert {key: before[key] for key in before if key != name} == {key: after[key] for key in after if key != name}
    assert (logical_digest(table) == logical_digest(other)) is same


@given(tables(least=2))
def test_the_order_of_rows_counts(table: pa.Table) -> None:
    backwards = table.take(list(reversed(range(table.num_rows))))
    same = all(repr(table.column(n).to_pylist()) == repr(backwards.column(n).to_pylist()) for n in table.column_names)
    if same or any(pa.types.is_floating(field.type) for field in table.schema):
        return  # -0.0 and 0.0 are told apart by repr alone
    assert logical_digest(backwards) != logical_digest(table)


def digest_of(values: list[object], kind: pa.DataType | None = None) -> tuple[str, str]:
    return column_digest(pa.chunked_array([pa.array(values, kind)]))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ([math.nan], [None]),
        ([""], [None]),
        ([0], [None]),
        ([False], [None]),
        (["ab", "c"], ["a", "bc"]),
        ([1], [1.0]),
        ([1], [True]),
        (["1"], [1]),
        ([1.0], [1.0 + 2**-52]),
        ([None, 1], [1, None]),
        (["e\u0301"], ["\u00e9"]),
    ],
)
def test_different_contents_have_different_digests(left: list[object], right: list[object]) -> None:
    kind = pa.array([value for value in (*left, *right) if value is not None][:1]).type
    one = digest_of(left, kind if left == [None] else None)
    two = digest_of(right, kind if right == [None] else None)
    assert one != two


def test_signed_zeros_and_all_nans_are_one_value() -> None:
    assert digest_of([0.0]) == digest_of([-0.0])
    other = pa.array([0x7FF8000000000001, 0xFFF8000000000000], pa.uint64()).view(pa.float64())
    assert column_digest(pa.chunked_array([other])) == digest_of([math.nan, math.nan])


def test_what_lies_below_a_null_does_not_count() -> None:
    buffers = pa.array([1, 99], pa.int64()).buffers()
    hidden = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\x01"), buffers[1]])
    assert hidden.to_pylist() == [1, None]
    assert column_digest(pa.chunked_array([hidden])) == digest_of([1, None])


def test_blocks_are_cut_by_rows_whatever_the_chunks() -> None:
    rows = logical.BLOCK * 2 + 5
    table = pa.table({"n": pa.array(range(rows)), "t": pa.array([str(n % 7) for n in range(rows)])})
    assert logical_digest(chunked(table, 10_007)) == logical_digest(table)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1], pa.uint64(), "integer"),
        ([2**63], pa.uint64(), "integer+"),
        ([Decimal("1.50")], pa.decimal128(10, 2), "decimal.2"),
        ([dt.time(1, 2)], pa.time32("s"), "time.ns"),
        ([b"x"], pa.binary(), "binary"),
        ([NOON], pa.timestamp("ns"), "timestamp"),
        ([dt.datetime(2026, 1, 1, tzinfo=dt.UTC)], pa.timestamp("ms", "Europe/Paris"), "instant"),
        ([dt.date(2026, 1, 1)], pa.date64(), "date"),
        ([1.5], pa.float32(), "number"),
    ],
)
def test_kinds(values: list[object], kind: pa.DataType, expected: str) -> None:
    assert digest_of(values, kind)[0] == expected


def test_nanoseconds_count_only_where_they_are_needed() -> None:
    fine = pa.chunked_array([pa.array([1_000, 1_001], pa.timestamp("ns"))])
    assert column_digest(fine)[0] == "timestamp.ns"
    whole = pa.chunked_array([pa.array([1_000, 2_000], pa.timestamp("ns"))])
    assert column_digest(whole) == column_digest(whole.cast(pa.timestamp("us")))


def test_the_name_of_a_zone_and_the_precision_of_a_decimal_are_no_contents() -> None:
    times = [dt.datetime(2026, 1, 1, tzinfo=dt.UTC)]
    assert digest_of(times, pa.timestamp("us", "UTC")) == digest_of(times, pa.timestamp("us", "America/New_York"))
    amounts = [Decimal("-1.50"), None]
    assert digest_of(amounts, pa.decimal128(5, 2)) == digest_of(amounts, pa.decimal128(30, 2))
    assert digest_of(amounts, pa.decimal128(5, 2)) != digest_of(amounts, pa.decimal128(5, 3))


def test_nested_types_are_refused() -> None:
    with pytest.raises(ContractError, match="column tags has the type list"):
        logical_digest(pa.table({"tags": [[1]]}))


def test_the_digest_is_the_documented_one() -> None:
    """The definition, written down a second time with nothing but struct and hashlib."""

    def sha(data: bytes) -> bytes:
        return hashlib.sha256(data).digest()

    def column(*blocks: bytes) -> str:
        return sha(b"".join(map(sha, blocks))).hex()

    expected = [
        ["a", "integer", column(b"\1\1" + struct.pack("<2q", 1, -2))],
        ["b", "string", column(b"\1\0" + struct.pack("<2q", 2, 0) + "\u00e9".encode())],
        ["c", "number", column(b"\1\0" + struct.pack("<2d", 0.5, 0.0))],
        ["d", "boolean", column(b"\1\1" + b"\1\0")],
        ["e", "date", column(b"\1\0" + struct.pack("<2q", 1, 0))],
        ["f", "timestamp", column(b"\1\1" + struct.pack("<2q", 0, 1_000_000))],
        ["g", "decimal.1", column(b"\1\0" + (-15).to_bytes(16, "little", signed=True) + bytes(16))],
    ]
    document = json.dumps({"format": 1, "rows": 2, "columns": expected}, separators=(",", ":"))
    table = pa.table(
        {
            "g": pa.array([Decimal("-1.5"), None], pa.decimal128(9, 1)),
            "b": ["\u00e9", None],
            "a": pa.array([1, -2], pa.int16()),
            "c": [0.5, None],
            "d": [True, False],
            "e": pa.array([1, None], pa.date32()),
            "f": pa.array([0, 1], pa.timestamp("s")),
        }
    )
    assert logical_digest(table) == hashlib.sha256(document.encode()).hexdigest()
    assert table_digest(2, column_digests(table)) == logical_digest(table)


def test_a_long_column_is_a_hash_of_its_blocks() -> None:
    values = list(range(logical.BLOCK + 1))
    first = hashlib.sha256(b"\1" * logical.BLOCK + struct.pack(f"<{logical.BLOCK}q", *values[:-1])).digest()
    second = hashlib.sha256(b"\1" + struct.pack("<q", values[-1])).digest()
    assert digest_of(values) == ("integer", hashlib.sha256(first + second).hexdigest())
