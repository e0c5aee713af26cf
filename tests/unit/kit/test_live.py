"""Live rows: what is read of files as they are, by column and range of time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from custody.errors import ContractError, RefusedError
from custody.kit import frame, lenient
from custody.kit.live import Feed, Piece, Seen, files_of, pieces, tables

START, END = datetime(2012, 2, 1, tzinfo=UTC), datetime(2012, 3, 1, tzinfo=UTC)


def feed(root: Path, path: str, written: str | None = None, zone: str = "UTC", **with_: object) -> Feed:
    options = {"path": path, **with_}
    return Feed(files_of(options, root), options, "at", written, zone)


def read(found: Feed, columns: list[str], seen: Seen | None = None) -> list[Piece]:
    return list(pieces(found, columns, START, END, seen or Seen()))


def rows(found: list[Piece]) -> list[dict[str, object]]:
    return [row for piece in found for row in piece.table.to_pylist()]


def test_text_and_parquet_give_the_rows_of_the_range_with_the_wanted_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("at,x,y\n2012-01-31,1,a\n2012-02-01,2,b\n2012-02-29T23:59:59Z,3,\n2012-03-01,4,d\n")
    (tmp_path / "a.jsonl").write_text('{"at": "2012-02-02", "x": 2.50, "y": true}\n{"at": "2012-02-03", "y": null}\n')
    table = pa.table({"at": [datetime(2012, 2, 3), datetime(2012, 4, 3)], "x": [7, 8], "y": ["p", "q"]})  # noqa: DTZ001
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=1)
    seen = Seen()
    assert [row["x"] for row in rows(read(feed(tmp_path, "a.csv"), ["x"], seen))] == ["2", "3"]
    assert list(seen.columns) == ["at", "x", "y"]
    assert seen.newest == datetime(2012, 1, 31, tzinfo=UTC).timestamp() * 1e6
    found = rows(read(feed(tmp_path, "a.jsonl"), ["x", "y"]))
    assert [(row["x"], row["y"]) for row in found] == [("2.50", "true"), (None, None)]
    assert rows(read(feed(tmp_path, "a.parquet"), ["x"])) == [{"at": datetime(2012, 2, 3), "x": 7}]  # noqa: DTZ001


def test_a_pattern_names_files_in_order_and_none_outside_of_the_project(tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "live").mkdir(parents=True)
    for name in ("b", "a"):
        (root / "live" / f"{name}.csv").write_text(f"at,x\n2012-02-01,{name}\n")
    assert [shown for _, shown in files_of({"path": "live/*.csv"}, root)] == ["live/a.csv", "live/b.csv"]
    (root / "live" / "c.csv").symlink_to(tmp_path / "out.csv")
    (tmp_path / "out.csv").write_text("at\n")
    for path in ("live/*.csv", "../*.csv", "/etc/*"):
        with pytest.raises(RefusedError):
            files_of({"path": path}, root)
    with pytest.raises(ContractError, match="not there"):
        files_of({"path": "live/*.parquet"}, root)


def test_rows_whose_time_cannot_be_read_stand_between_those_around_them(tmp_path: Path) -> None:
    lines = ["32/02/12,0", "01/02/12,1", "2012-02-02,2", "?,3", "03/02/12,4", "04/03/12,5"]
    (tmp_path / "a.csv").write_text("\n".join(["at,x", *lines]) + "\n")
    (tmp_path / "b.csv").write_text("at,x\n2012-03-05,6\n")
    (tmp_path / "c.csv").write_text("at,x\n06/02/12,7\nsoon,8\n")
    seen = Seen()
    first, *between, last = read(feed(tmp_path, "?.csv", "%d/%m/%y"), ["x"], seen)
    assert first.table.column("x").to_pylist() == ["0", "1", "2", "3", "4"]
    assert first.dated.tolist() == [False, True, False, False, True]
    days = [datetime.fromtimestamp(time / 1e6, UTC).day for time in first.times.tolist()]
    assert days == [1, 1, 2, 2, 3]
    assert [(row["x"], piece.dated.tolist()) for piece in between for row in piece.table.to_pylist()] == [
        ("6", [False]),
        ("7", [True]),
    ]
    assert (last.table.column("x").to_pylist(), last.trailing) == (["8"], True)
    assert (seen.undated, seen.example) == (1, "32/02/12")


def test_lines_that_are_no_rows_are_counted_and_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('at,x\n2012-02-01,1,9\n2012-02-02,"2\n2"\n')
    (tmp_path / "a.jsonl").write_text('{"at": "2012-02-01", "x": 1}\n{"at": \n[1]\n')
    for path, kept in (("a.csv", ["2\n2"]), ("a.jsonl", ["1"])):
        seen = Seen()
        assert [row["x"] for row in rows(read(feed(tmp_path, path), ["x"], seen))] == kept
        assert seen.malformed >= 1


def test_a_source_without_its_time_column_says_which_columns_it_has(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("when,x\n2012-02-01,1\n")
    with pytest.raises(ContractError, match=r"a\.csv has no column at.*when, x"):
        read(feed(tmp_path, "a.csv"), ["x"])
    everything = Feed(files_of({"path": "a.csv"}, tmp_path), {"path": "a.csv"})
    assert [table.to_pylist() for table in tables(everything, ["x"], Seen())] == [[{"x": "1"}]]


@pytest.mark.parametrize(
    ("kind", "values", "taken", "misfits"),
    [
        (frame.NUMBER, ["1", " 2.5e1 ", "", None, "7 ", "x"], [1.0, 25.0, None, None, 7.0, None], 2),
        (frame.BOOLEAN, ["true", "No", "1", "maybe"], [True, False, True, None], 1),
        (frame.BOOLEAN, [0, 1, 2], [False, True, None], 1),
        (frame.TEXT, [1.0, 2.5, None], ["1", "2.5", None], 0),
        (frame.DATE, ["2012-02-30", "2012-02-01"], [None, datetime(2012, 2, 1).date()], 1),  # noqa: DTZ001
        (frame.NUMBER, [True, False], [1.0, 0.0], 0),
        (frame.NUMBER, [float("nan"), float("inf"), 1.0], [None, None, 1.0], 2),
    ],
)
def test_what_does_not_fit_its_kind_becomes_null_and_is_counted(
    kind: str, values: list[object], taken: list[object], misfits: int
) -> None:
    found = lenient.take(pa.chunked_array([values]), kind)
    assert (found.column.to_pylist(), found.misfits) == (taken, misfits)


def test_times_of_the_clock_are_of_the_zone_and_those_with_an_offset_are_not() -> None:
    texts = pa.chunked_array([["2012-07-01", "2012-07-01T00:00:00+05:00", "2012-07-01 10:00", "01.07.2012"]])
    times, dated = lenient.moments(texts, None, "Europe/Berlin")
    shown = [datetime.fromtimestamp(time / 1e6, UTC).isoformat() for time in times[dated].tolist()]
    assert shown == ["2012-06-30T22:00:00+00:00", "2012-06-30T19:00:00+00:00", "2012-07-01T08:00:00+00:00"]
    assert dated.tolist() == [True, True, True, False]
