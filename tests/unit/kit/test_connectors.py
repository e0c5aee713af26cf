from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from custody.errors import ContractError, CustodyError, RefusedError
from custody.kit.connectors import Source, connector

NIGHT = dt.datetime(2026, 2, 1, 3, 4)  # noqa: DTZ001 - of a clock without a zone
Columns = Mapping[str, Mapping[str, Any]]


def csv(root: Path, text: str | bytes, columns: Columns | None = None, name: str = "t.csv", **with_: Any) -> Source:
    path = root / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return connector("file")({"path": name, **with_}, root=root, columns=columns or {})


def fault(root: Path, text: str | bytes, columns: Columns | None = None, **with_: Any) -> ContractError:
    with pytest.raises(ContractError) as caught:
        csv(root, text, columns, **with_)
    return caught.value


def column(values: list[str], name: str = "x") -> str:
    return "\n".join([f"{name},id", *(f'"{value}",{row}' for row, value in enumerate(values))]) + "\n"


def common(root: Path, values: list[str], kind: str, **rules: Any) -> tuple[str, str]:
    error = fault(root, column(values), {"x": {"type": kind, **rules}})
    return error.because[0].partition("; ")[2], error.help[0]


def test_declared_types_are_read_and_the_rest_is_guessed(tmp_path: Path) -> None:
    text = (
        "id,price,churned,day,at,code,note,whole\n"
        "1,1.50,yes,2026-01-02,2026-01-02T03:04:05Z,007,a,1\n"
        "2,,no,2026-01-03,2026-01-02T05:04:05.5+02:00,010,,2\n"
    )
    source = csv(tmp_path, text, {"churned": {"type": "boolean"}, "whole": {"type": "number"}})
    assert source.inferred == {
        "id": "integer",
        "price": "number",
        "day": "date",
        "at": "timestamp",
        "code": "string",
        "note": "string",
    }
    assert source.table.to_pylist()[1] == {
        "id": 2,
        "price": None,
        "churned": False,
        "day": dt.date(2026, 1, 3),
        "at": dt.datetime(2026, 1, 2, 3, 4, 5, 500_000, tzinfo=dt.UTC),
        "code": "010",
        "note": None,
        "whole": 2.0,
    }


def test_a_source_says_where_it_came_from(tmp_path: Path) -> None:
    text = b"a,b\n1,2\n"
    description = csv(tmp_path, text).description
    raw = {"size": len(text), "sha256": hashlib.sha256(text).hexdigest()}
    assert description["uses"] == "file"
    assert description["path"] == "t.csv"
    assert description["raw"] == raw
    assert description["reader"].startswith("duckdb 2.")


def test_a_single_blank_among_numbers(tmp_path: Path) -> None:
    error = fault(tmp_path, "id,total\n1,5.5\n2, \n3, \n4,7\n5, \n6, \n", {"total": {"type": "number"}})
    assert error.message == "t.csv: 1 column holds values that do not fit the declared type: total (4)"
    assert error.because == (
        "total: 4 of 6 values are not a number; all 4 are a single blank",
        "  line 3: ' '",
        "  line 4: ' '",
        "  line 6: ' '",
    )
    assert error.help == ('if that means missing, in dataset.yaml: source.with.nulls: ["", " "]',)
    source = csv(tmp_path, "id,total\n1,5.5\n2, \n", {"total": {"type": "number"}}, nulls=["", " "])
    assert source.table.column("total").to_pylist() == [5.5, None]


@pytest.mark.parametrize(
    ("kind", "values", "said", "help_"),
    [
        ("date", ["13/01/26", "02/03/26"], "look like dd/mm/yy dates", 'format: "%d/%m/%y"'),
        ("date", ["01/13/2026", "02/03/2026"], "look like mm/dd/yyyy dates", 'format: "%m/%d/%Y"'),
        ("date", ["1.12.2026"], "dd.mm.yyyy or mm.dd.yyyy dates", 'format: "%d.%m.%Y" or format: "%m.%d.%Y"'),
        ("date", ["13/01/2026", "01/13/2026"], "some with the day first and some with the month", "in one way"),
        ("date", ["2026/01/02"], "looks like yyyy/mm/dd dates", 'format: "%Y/%m/%d"'),
        ("date", ["20260102"], "looks like yyyymmdd dates", 'format: "%Y%m%d"'),
        ("date", ["2026-02-30"], "is days that no calendar has", "mend"),
        ("date", ["2026-01-01 12:30:00"], "has a time of day", "{type: timestamp}"),
        ("number", ["1,5", "22,75"], "all 2 contain a decimal comma", 'source.with.decimal: ","'),
        ("number", ["1,234.50", "12,345"], "all 2 contain thousands separators", "without them"),
        ("number", ["?", "?"], "all 2 are `?`", 'source.with.nulls: ["", "?"]'),
        ("number", ["NA", "n/a", "NA"], "all 3 are `NA` or `n/a`", '["", "NA", "n/a"]'),
        ("number", ["5 %"], "ends in %", "without the sign"),
        ("number", ["€ 5", "7$"], "all 2 contain a currency sign", "without the sign"),
        ("number", ["5 kg", "7kg"], "all 2 end in a unit", "without the unit"),
        ("number", ["inf"], "is infinite", "nulls"),
        ("number", ["1e999"], "is out of range", "string"),
        ("number", ["abc", "abc"], "all 2 are `abc`", "type: string"),
        ("integer", ["1.5", "2.25"], "all 2 have a fraction", "{type: number}"),
        ("integer", ["99999999999999999999"], "is out of range", "{type: string}"),
        ("boolean", ["ja", "nein", "ja"], "all 3 are `ja` or `nein`", "type: string"),
        (
            "timestamp",
            ["2026-01-01 10:00", "2026-01-01 10:00Z"],
            "it has a time zone where others have none",
            "one way",
        ),
    ],
)
def test_what_bad_values_have_in_common(tmp_path: Path, kind: str, values: list[str], said: str, help_: str) -> None:
    found, remedy = common(tmp_path, values, kind)
    assert said in found
    assert help_ in remedy


def test_bad_values_of_several_shapes_are_counted_by_shape(tmp_path: Path) -> None:
    found, _ = common(tmp_path, ["1,5", "2,5", " ", "abc"], "number")
    assert found == "2 contain a decimal comma, 1 is a single blank, 1 is `abc`"


def test_all_columns_with_faults_are_told_at_once(tmp_path: Path) -> None:
    error = fault(tmp_path, "a,b,c\nx,y,1\n", {"a": {"type": "number"}, "b": {"type": "date"}})
    assert "2 columns hold values that do not fit the declared type: a (1), b (1)" in error.message


def test_values_of_personal_columns_are_never_shown(tmp_path: Path) -> None:
    secret = "miller"
    rules: Columns = {"x": {"type": "number", "personal": True}}
    error = fault(tmp_path, column([secret, secret, "n/a", "1,5"]), rules)
    shown = " ".join([error.message, *error.because, *error.help])
    assert secret not in shown
    assert "n/a" not in shown
    assert "line 2: (personal: not shown)" in shown
    text = column([*["1"] * 50, secret])
    assert csv(tmp_path, text, {"x": {"personal": True}}).warnings == ()


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    text = 'a,b\n1,"two\nlines"\n\n2,x\nbad,y\n'
    error = fault(tmp_path, text, {"a": {"type": "integer"}})
    assert error.because[1] == "  line 6: 'bad'"
    crlf = fault(tmp_path, text.replace("\n", "\r\n"), {"a": {"type": "integer"}})
    assert crlf.because[1] == "  line 6: 'bad'"


def test_records_that_are_too_short_or_too_long_are_named(tmp_path: Path) -> None:
    error = fault(tmp_path, "a,b\n1,2\n3\n4,5,6\n")
    assert error.message == "t.csv: 2 lines cannot be divided into the 2 columns of the first line"
    assert [line.partition(":")[0] for line in error.because] == ["line 3", "line 4"]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2"], "integer"),
        (["1", "2.5", "1e-3"], "number"),
        (["true", "FALSE"], "boolean"),
        (["yes", "no"], "string"),
        (["0", "1"], "integer"),
        (["007", "1"], "string"),
        (["+49"], "string"),
        (["1.0"], "number"),
        (["1_000"], "string"),
        (["0x10"], "string"),
        (["2026-01-02"], "date"),
        (["2026-01-02 03:04"], "timestamp"),
        (["2026-01-02 03:04", "2026-01-02T03:04Z"], "string"),
        (["2026-13-02"], "string"),
        (["9223372036854775808"], "number"),
        (["", ""], "string"),
    ],
)
def test_guessed_types_lose_nothing(tmp_path: Path, values: list[str], kind: str) -> None:
    assert csv(tmp_path, column(values)).inferred["x"] == kind


def test_a_text_column_that_is_nearly_of_another_type_is_reported(tmp_path: Path) -> None:
    source = csv(tmp_path, column([*["5"] * 30, " "]))
    assert source.inferred["x"] == "string"
    (warning,) = source.warnings
    assert "30 of 31 values are a number, it is a single blank" in warning
    assert 'source.with.nulls: ["", " "], columns.x: {type: number}' in warning
    (warning,) = csv(tmp_path, column(["13/01/2026", "14/01/2026"])).warnings
    assert 'columns.x: {type: date, format: "%d/%m/%Y"}' in warning


@pytest.mark.parametrize("text", ["1.5", "1e3", "1_000", "", " ", "0x1", "1,0", "\u0661"])
def test_what_is_no_integer_never_becomes_one(tmp_path: Path, text: str) -> None:
    assert (
        "1 of 1 values are not an integer"
        in fault(tmp_path, column([text]), {"x": {"type": "integer"}}, nulls=[]).because[0]
    )


def test_lenient_spellings_without_loss(tmp_path: Path) -> None:
    rules: Columns = {"x": {"type": "integer"}}
    assert csv(tmp_path, column([" 7 ", "+8", "9.0"]), rules).table.column("x").to_pylist() == [7, 8, 9]
    flags = csv(tmp_path, column(["Yes", "0", "T", "false"]), {"x": {"type": "boolean"}})
    assert flags.table.column("x").to_pylist() == [True, False, True, False]
    comma = csv(tmp_path, column(["1,5", "2"]), {"x": {"type": "number"}}, decimal=",")
    assert comma.table.column("x").to_pylist() == [1.5, 2.0]


def test_a_point_is_no_decimal_point_where_a_comma_is(tmp_path: Path) -> None:
    fault(tmp_path, column(["1.234,5", "1.234"]), {"x": {"type": "number"}}, decimal=",")


def test_formats_of_dates_and_times(tmp_path: Path) -> None:
    rules: Columns = {"x": {"type": "date", "format": "%d/%m/%y"}}
    assert csv(tmp_path, column(["31/12/11"]), rules).table.column("x").to_pylist() == [dt.date(2011, 12, 31)]
    assert "a date written as %d/%m/%y" in fault(tmp_path, column(["31/13/11"]), rules).because[0]
    at: Columns = {"x": {"type": "timestamp", "format": "%d.%m.%Y %H:%M"}}
    assert csv(tmp_path, column(["1.2.2026 03:04"]), at).table.column("x").to_pylist() == [NIGHT]
    lossy: Columns = {"x": {"type": "date", "format": "%d.%m.%Y %H:%M"}}
    fault(tmp_path, column(["1.2.2026 03:04"]), lossy)
    assert (
        "is not a date format of column x"
        in fault(tmp_path, column(["1"]), {"x": {"type": "date", "format": "%Q"}}).message
    )


def test_null_spellings_are_exact_and_an_empty_text_may_be_a_value(tmp_path: Path) -> None:
    text = 'a,b\n"",NA\nx,na\n'
    assert csv(tmp_path, text, nulls=["NA"]).table.to_pylist() == [{"a": "", "b": None}, {"a": "x", "b": "na"}]
    assert csv(tmp_path, text).table.column("a").to_pylist() == [None, "x"]
    assert csv(tmp_path, "a,b\nit's,1\n", nulls=["it's"]).table.column("a").to_pylist() == [None]


def test_dialects(tmp_path: Path) -> None:
    assert csv(tmp_path, "a;b\n1;x\n", delimiter=";").table.to_pylist() == [{"a": 1, "b": "x"}]
    assert csv(tmp_path, "a\tb\n1\tx\n", name="t.tsv").table.to_pylist() == [{"a": 1, "b": "x"}]
    assert csv(tmp_path, b"\xef\xbb\xbfa,b\r\n1,2\r\n").table.to_pylist() == [{"a": 1, "b": 2}]
    assert csv(tmp_path, "a,b\n1,ö€\n".encode("cp1252"), encoding="cp1252").table.column("b").to_pylist() == ["ö€"]
    assert csv(tmp_path, "a,b\n1,ö\n".encode("utf-16"), encoding="utf-16").table.to_pylist() == [{"a": 1, "b": "ö"}]
    assert csv(tmp_path, 'a,"b,""c"""\n1,"x,""y"""\n').table.to_pylist() == [{"a": 1, 'b,"c"': 'x,"y"'}]
    assert csv(tmp_path, "A,a\n1,2\n").table.to_pylist() == [{"A": 1, "a": 2}]


@pytest.mark.parametrize(
    ("text", "with_", "said", "help_"),
    [
        ("", {}, "t.csv is empty", ""),
        ("a;b\n1;2\n", {}, "one column only", 'source.with.delimiter: ";"'),
        ("a,a\n1,2\n", {}, "two columns called 'a'", "rename"),
        (b"a,b\n1,\xff\n", {}, "is not utf-8 text", "cp1252"),
        (b"\xff,b\n1,2\n", {}, "is not utf-8 text", "cp1252"),
        ("a,b\n1,2\n", {"encoding": "rot13"}, "no text encoding called 'rot13'", "utf-8"),
        ("a,b\n1,2\n", {"delimiter": ",,"}, "cannot be a delimiter", ""),
        ("a,b\n1,2\n", {"delimeter": ";"}, "takes no 'delimeter'", "did you mean delimiter?"),
    ],
)
def test_files_that_cannot_be_read_say_what_helps(
    tmp_path: Path, text: str | bytes, with_: dict[str, Any], said: str, help_: str
) -> None:
    error = fault(tmp_path, text, **with_)
    assert said in error.message
    assert help_ in " ".join(error.help)


def test_names_with_patterns_are_names(tmp_path: Path) -> None:
    (tmp_path / "t1.csv").write_text("a,b\n9,9\n")
    assert csv(tmp_path, "a,b\n1,2\n", name="t[0-9]*'.csv").table.to_pylist() == [{"a": 1, "b": 2}]


@pytest.mark.heavy
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=8), st.integers()
        ),
        min_size=1,
        max_size=8,
    )
)
def test_text_comes_back_as_it_was_written(tmp_path: Path, rows: list[tuple[str, int]]) -> None:
    import csv as module
    import io

    out = io.StringIO()
    writer = module.writer(out, quoting=module.QUOTE_ALL)
    writer.writerow(["t", "n"])
    writer.writerows(rows)
    rules: Columns = {"t": {"type": "string"}, "n": {"type": "string"}}
    table = csv(tmp_path, out.getvalue(), rules, nulls=[]).table
    assert table.column("t").to_pylist() == [text for text, _ in rows]
    assert table.column("n").to_pylist() == [str(number) for _, number in rows]


@pytest.mark.parametrize("path", ["../outside.csv", "link.csv", "folder/x.csv", "/etc/hostname"])
def test_a_source_outside_of_the_project_is_refused(tmp_path: Path, path: str) -> None:
    root = tmp_path / "project"
    (tmp_path / "away").mkdir()
    (tmp_path / "away" / "x.csv").write_text("a\n1\n")
    (tmp_path / "outside.csv").write_text("a\n1\n")
    root.mkdir()
    (root / "link.csv").symlink_to(tmp_path / "outside.csv")
    (root / "folder").symlink_to(tmp_path / "away")
    with pytest.raises(RefusedError, match="leads out of the project"):
        connector("file")({"path": path}, root=root, columns={})


def test_git_s_own_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config.csv").write_text("a\n1\n")
    with pytest.raises(RefusedError, match="Git's own folder"):
        connector("file")({"path": ".git/config.csv"}, root=tmp_path, columns={})


def test_a_person_may_name_a_file_outside_and_only_its_name_is_recorded(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (tmp_path / "outside.csv").write_text("a,b\n1,2\n")
    source = connector("file")({"path": str(tmp_path / "outside.csv")}, root=root, columns={}, outside=True)
    assert source.description["path"] == "outside.csv"
    assert source.description["outside"] is True


@pytest.mark.parametrize(("path", "said"), [("none.csv", "is not there"), ("folder.csv", "not an ordinary file")])
def test_a_source_that_is_not_there(tmp_path: Path, path: str, said: str) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ContractError, match=said) as caught:
        connector("file")({"path": path}, root=tmp_path, columns={})
    assert caught.value.code == "source.missing"


def test_formats_are_told_by_suffix_or_declared(tmp_path: Path) -> None:
    assert csv(tmp_path, "a,b\n1,2\n", name="data.dat", format="csv").table.num_rows == 1
    with pytest.raises(ContractError, match="cannot be told from its name"):
        csv(tmp_path, "a,b\n1,2\n", name="data.dat")


def test_parquet(tmp_path: Path) -> None:
    table = pa.table({"a": [1, None], "b": ["x", "y"]})
    pq.write_table(table, tmp_path / "t.parquet")
    source = connector("file")({"path": "t.parquet"}, root=tmp_path, columns={})
    assert source.table.equals(table)
    assert source.inferred == {}
    assert source.description["reader"] == f"pyarrow {pa.__version__}"
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(ContractError, match="is not a Parquet file"):
        connector("file")({"path": "t.parquet"}, root=tmp_path, columns={})


@pytest.mark.parametrize(
    ("name", "shape", "labels"),
    [
        ("breast_cancer", (569, 32), {"malignant", "benign"}),
        ("wine", (178, 15), {"class_0", "class_1", "class_2"}),
        ("iris", (150, 6), {"setosa", "versicolor", "virginica"}),
        ("digits", (1797, 66), set(range(10))),
    ],
)
def test_the_data_sets_of_scikit_learn(tmp_path: Path, name: str, shape: tuple[int, int], labels: set[Any]) -> None:
    source = connector("sklearn")({"dataset": name}, root=tmp_path, columns={})
    assert source.table.shape == shape
    assert set(source.table.column("target").to_pylist()) == labels
    assert source.table.column("row").to_pylist() == list(range(shape[0]))
    assert all(column.replace("_", "").isalnum() and column.islower() for column in source.table.column_names)
    assert source.description["dataset"] == name
    assert source.description["reader"].startswith("scikit-learn 1.")


def test_diabetes_is_unscaled_unless_asked_for(tmp_path: Path) -> None:
    table = connector("sklearn")({"dataset": "diabetes", "target": "progression"}, root=tmp_path, columns={}).table
    assert set(table.column("sex").to_pylist()) == {1.0, 2.0}
    assert table.column("progression").type == pa.float64()
    scaled = connector("sklearn")({"dataset": "diabetes", "scaled": True}, root=tmp_path, columns={}).table
    assert max(scaled.column("age").to_pylist()) < 1


@pytest.mark.parametrize(
    ("name", "with_", "said"),
    [
        ("sklearn", {"dataset": "boston"}, "no data set 'boston'"),
        ("sklearn", {}, "needs 'dataset'"),
        ("file", {}, "needs 'path'"),
        ("fille", {}, "no connector called 'fille'"),
    ],
)
def test_unknown_connectors_and_parameters(tmp_path: Path, name: str, with_: dict[str, Any], said: str) -> None:
    with pytest.raises(CustodyError, match=said):
        connector(name)(with_, root=tmp_path, columns={})
