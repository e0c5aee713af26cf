"""Which rows train and which test: random, stratified, by whole groups, or by the order of a column.

Random choice takes the raw output of PCG64, whose stream numpy promises never to change, and a stable sort: the same
seed gives the same rows with every version of every library. A split is stored as a `.npy` file, one byte a row.
"""

from __future__ import annotations

import datetime as dt
import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from custody.errors import ContractError
from custody.kit.frame import text_of

TRAIN, TEST = 0, 1
_FAR = 0.25
"""How far the share of an ordered split may lie from the declared one, relative to it, before it is said."""


@dataclass(frozen=True, slots=True)
class Division:
    """One entry a row, 0 for training and 1 for test, and what is worth a warning."""

    rows: NDArray[np.uint8]
    warnings: tuple[str, ...] = ()

    @property
    def train(self) -> NDArray[np.bool_]:
        return np.equal(self.rows, TRAIN)

    @property
    def test(self) -> NDArray[np.bool_]:
        return np.equal(self.rows, TEST)

    def to_bytes(self) -> bytes:
        """Return the stored form: equal rows have equal bytes."""
        buffer = io.BytesIO()
        np.save(buffer, self.rows, allow_pickle=False)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes, rows: int) -> Division:
        """Read the stored form of a split of `rows` rows; raises ContractError where it is not one."""
        try:
            values = np.load(io.BytesIO(data), allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise ContractError("the stored split cannot be read") from error
        if values.dtype != np.uint8 or values.shape != (rows,) or (values > TEST).any():
            raise ContractError(f"the stored split is not one of a table of {rows:,} rows")
        return cls(values)


@dataclass(frozen=True, slots=True)
class Rule:
    """How to divide: `test` is the share of test rows, or `start` the least value of `column` that is tested on."""

    kind: str
    test: float | None
    column: str | None = None
    seed: int = 0
    start: str | float | None = None

    @property
    def asked(self) -> str:
        return f"from: {self.start}" if self.start is not None else f"test: {self.test:g}"


def divide(table: pa.Table, rule: Rule, time: str | None = None) -> Division:
    """Divide the rows of `table`; `time` is the dataset's time column, for a warning only.

    Raises ContractError where a side would be empty, a class would not be trained on, the column has nulls where it
    groups or orders, or where a group or a later row than a test row would be trained on.
    """
    if rule.column is not None and rule.column not in table.column_names:
        raise ContractError(f"the split names column {rule.column}, which the table does not have")
    division = _divided(table, rule)
    tested, total = int(division.test.sum()), table.num_rows
    if tested in {0, total}:
        side = "test" if tested == 0 else "training"
        raise ContractError(f"the split leaves no {side} row of {total:,} ({rule.asked})")
    check_leaks(table, rule, division)
    if time and rule.kind != "ordered" and time in table.column_names:
        past = "the model is tested on a past that it has seen"
        text = f"the rows have a time ({time}) and the split is {rule.kind}: {past}"
        return Division(division.rows, (*division.warnings, text))
    return division


def check_leaks(table: pa.Table, rule: Rule, division: Division) -> None:
    """Raise ContractError where a group is on both sides, or a test row is not later than every training row.

    Looks at the values themselves, not at how they were divided.
    """
    if rule.kind not in {"grouped", "ordered"}:
        return
    column = table.column(rule.column or "")
    trained, tested = column.filter(pa.array(division.train)), column.filter(pa.array(division.test))
    if rule.kind == "grouped":
        shared = pc.unique(tested.filter(pc.is_in(tested, value_set=pc.unique(trained))))
        if len(shared):
            raise ContractError(f"{len(shared):,} values of {rule.column} are on both sides of the split")
    else:
        latest, earliest = (pc.rank(column, tiebreaker="dense").to_numpy()[side] for side in _sides(division))
        if latest.max() >= earliest.min():
            raise ContractError(f"a test row is not later than every training row, by {rule.column}")


def _sides(division: Division) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    return division.train, division.test


def _divided(table: pa.Table, rule: Rule) -> Division:
    name, test = rule.column or "", rule.test or 0.0
    match rule.kind:
        case "ordered" if rule.start is not None:
            return _cut(table.column(name), rule.start, name)
        case "ordered":
            return _ordered(table.column(name), test, name)
        case "stratified":
            return _stratified(table.column(name), test, rule.seed, name)
        case "grouped":
            return _grouped(table.column(name), test, rule.seed, name)
        case _:
            return _random(table.num_rows, test, rule.seed)


def _share(count: int, test: float) -> int:
    return math.floor(count * test + 0.5)


def _draws(count: int, seed: int) -> NDArray[np.uint64]:
    draws: NDArray[np.uint64] = np.random.PCG64(seed).random_raw(count)
    return np.atleast_1d(draws)


def _random(total: int, test: float, seed: int) -> Division:
    rows = np.zeros(total, np.uint8)
    rows[np.argsort(_draws(total, seed), kind="stable")[: _share(total, test)]] = TEST
    return Division(rows)


def _stratified(column: pa.ChunkedArray, test: float, seed: int, name: str) -> Division:
    ranks = _dense_ranks(column)
    counts = np.bincount(ranks)
    if len(counts) * 2 > len(ranks):
        raise ContractError(f"column {name} has {len(counts):,} values in {len(ranks):,} rows: too many to stratify by")
    wanted = _apportion(counts, test)
    order = np.lexsort((_draws(len(ranks), seed), ranks))
    place = np.arange(len(ranks)) - (np.cumsum(counts) - counts)[ranks[order]]
    rows = np.zeros(len(ranks), np.uint8)
    rows[order[place < wanted[ranks[order]]]] = TEST
    untested = int((wanted == 0).sum())
    if not untested:
        return Division(rows)
    return Division(rows, (f"{untested} of {len(counts)} values of {name} have too few rows to be tested on",))


def _apportion(counts: NDArray[np.int64], test: float) -> NDArray[np.int64]:
    """Share the test rows out by largest remainder; every stratum keeps a training row."""
    exact = counts * test
    whole = np.floor(exact).astype(np.int64)
    left = _share(int(counts.sum()), test) - int(whole.sum())
    whole[np.argsort(-(exact - whole), kind="stable")[: max(left, 0)]] += 1
    capped: NDArray[np.int64] = np.minimum(whole, np.maximum(counts - 1, 0))
    return capped


def _dense_ranks(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Number the values of a column from 0 in their order, nulls last."""
    ranks: NDArray[np.int64] = np.asarray(pc.rank(column, tiebreaker="dense").to_numpy(), dtype=np.int64) - 1
    return ranks


def _grouped(column: pa.ChunkedArray, test: float, seed: int, name: str) -> Division:
    """Take whole groups in random order, each that brings the share of test rows closer to what was asked for."""
    _no_nulls(column, name, "groups")
    ranks = _dense_ranks(column)
    sizes = np.bincount(ranks)
    if len(sizes) == 1:
        raise ContractError(f"column {name} has one value in all rows: there is nothing to divide by")
    wanted = _share(len(ranks), test)
    chosen, tested = np.zeros(len(sizes), np.uint8), 0
    for group in np.argsort(_draws(len(sizes), seed), kind="stable").tolist():
        if abs(tested + int(sizes[group]) - wanted) < abs(tested - wanted):
            chosen[group] = TEST
            tested += int(sizes[group])
    return _with_share(chosen[ranks], wanted, f"the groups of {name} are few or uneven")


def _ordered(column: pa.ChunkedArray, test: float, name: str) -> Division:
    """The greatest values are the test rows; equal values stay together, on the test side of the cut."""
    _no_nulls(column, name, "orders")
    ranks, total = _dense_ranks(column), len(column)
    wanted = _share(total, test)
    if wanted in {0, total}:
        return Division(np.full(total, TEST if wanted else TRAIN, np.uint8))
    cut = np.sort(ranks)[total - wanted]
    return _with_share((ranks >= cut).astype(np.uint8), wanted, f"many rows share a value of {name}")


def _cut(column: pa.ChunkedArray, start: str | float, name: str) -> Division:
    """Rows with the value `start` or a greater one are the test rows."""
    _no_nulls(column, name, "orders")
    try:
        later = pc.greater_equal(column, _scalar(start, column.type))
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise ContractError(f"the split is cut at {start}, which is no value of {name} ({column.type})") from error
    return Division(np.asarray(later.to_numpy()).astype(np.uint8))


def _scalar(start: str | float, kind: pa.DataType) -> pa.Scalar:
    if pa.types.is_temporal(kind):
        moment = dt.datetime.fromisoformat(str(start))
        if pa.types.is_date(kind):
            if moment.time() != dt.time() or moment.tzinfo:
                raise ValueError("a date has no time")
            return pa.scalar(moment.date(), kind)
        if (moment.tzinfo is None) == (kind.tz is not None):
            # a time without offset is one of UTC, as everywhere
            moment = moment.replace(tzinfo=dt.UTC) if kind.tz else moment.astimezone(dt.UTC).replace(tzinfo=None)
        return pa.scalar(moment, kind)
    if isinstance(start, str):
        return pa.scalar(start, pa.string())
    return pa.scalar(float(start), pa.float64()) if isinstance(start, float) else pa.scalar(start)


def _no_nulls(column: pa.ChunkedArray, name: str, does: str) -> None:
    nulls = int(pc.sum(column.is_null(nan_is_null=pa.types.is_floating(column.type))).as_py() or 0)
    if nulls:
        raise ContractError(f"column {name}, which {does} the split, is null in {nulls:,} of {len(column):,} rows")


def _with_share(rows: NDArray[np.uint8], wanted: int, why: str) -> Division:
    """Return the division, with a warning where its share of test rows is far from what was wanted."""
    tested, total = int(rows.sum()), len(rows)
    if abs(tested - wanted) <= _FAR * wanted or tested in {0, total}:
        return Division(rows)
    return Division(rows, (f"{tested / total:.0%} of the rows are test rows, not {wanted / total:.0%}: {why}",))


def facts(table: pa.Table, rule: Rule, division: Division) -> dict[str, Any]:
    """Return what the record says of a split: rows, and what was looked at so that nothing leaks.

    Of an ordered split the last value that is trained on and the first that is tested on, where those are numbers or
    times; of a grouped one the number of groups on each side.
    """
    counts = {"train": int(division.train.sum()), "test": int(division.test.sum())}
    return {**counts, **_leak_facts(table, rule, division), "warnings": list(division.warnings)}


def _leak_facts(table: pa.Table, rule: Rule, division: Division) -> dict[str, Any]:
    if rule.kind not in {"grouped", "ordered"}:
        return {}
    column = table.column(rule.column or "")
    trained, tested = (column.filter(pa.array(side)) for side in _sides(division))
    if rule.kind == "grouped":
        return {"groups": {"train": len(pc.unique(trained)), "test": len(pc.unique(tested))}}
    kind = column.type
    if not (pa.types.is_temporal(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return {}
    return {"train_until": _plain(pc.max(trained)), "test_from": _plain(pc.min(tested))}


def _plain(value: pa.Scalar) -> Any:
    found = value.as_py()
    return found if isinstance(found, (int, float)) else text_of(found)
