"""Which rows train and which test: random, stratified, or by the order of a column.

Random choice takes the raw output of PCG64, whose stream numpy promises never to change, and a stable sort: the same
seed gives the same rows with every version of every library. A split is stored as a `.npy` file, one byte a row.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from custody.errors import ContractError

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


def divide(table: pa.Table, kind: str, test: float, *, column: str | None, seed: int, time: str | None) -> Division:
    """Divide the rows of `table`; `test` is the share of test rows.

    `time` is the dataset's time column, for a warning only. Raises ContractError where a side would be empty, a
    class would not be trained on, or the ordering column has nulls.
    """
    if column is not None and column not in table.column_names:
        raise ContractError(f"the split names column {column}, which the table does not have")
    if kind == "ordered":
        division = _ordered(table.column(column or ""), test, column or "")
    elif kind == "stratified":
        division = _stratified(table.column(column or ""), test, seed, column or "")
    else:
        division = _random(table.num_rows, test, seed)
    tested, total = int(division.test.sum()), table.num_rows
    if tested in {0, total}:
        side = "test" if tested == 0 else "training"
        raise ContractError(f"the split leaves no {side} row of {total:,} (test: {test:g})")
    if time and kind != "ordered" and time in table.column_names:
        text = f"the rows have a time ({time}) and the split is {kind}: the model is tested on a past that it has seen"
        return Division(division.rows, (*division.warnings, text))
    return division


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


def _ordered(column: pa.ChunkedArray, test: float, name: str) -> Division:
    """The greatest values are the test rows; equal values stay together, on the test side of the cut."""
    nulls = int(pc.sum(column.is_null(nan_is_null=pa.types.is_floating(column.type))).as_py() or 0)
    if nulls:
        raise ContractError(f"column {name}, which orders the split, is null in {nulls:,} of {len(column):,} rows")
    ranks, total = _dense_ranks(column), len(column)
    wanted = _share(total, test)
    if wanted in {0, total}:
        return Division(np.full(total, TEST if wanted else TRAIN, np.uint8))
    cut = np.sort(ranks)[total - wanted]
    rows = (ranks >= cut).astype(np.uint8)
    tested = int(rows.sum())
    if abs(tested - wanted) <= _FAR * wanted or tested == total:
        return Division(rows)
    text = f"{tested / total:.0%} of the rows are test rows, not {test:.0%}: many rows share a value of {name}"
    return Division(rows, (text,))


def facts(division: Division) -> dict[str, Any]:
    """Return what the record says of a split."""
    counts = {"train": int(division.train.sum()), "test": int(division.test.sum())}
    return {**counts, "warnings": list(division.warnings)}
