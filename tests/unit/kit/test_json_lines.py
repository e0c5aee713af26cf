"""JSON lines: what becomes of values that JSON has kinds for, and what is refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from custody.errors import ContractError
from custody.kit.connectors import Source, connector


def lines(root: Path, text: str | bytes, columns: Any = None, name: str = "t.jsonl", **with_: Any) -> Source:
    (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return connector("file")({"path": name, **with_}, root=root, columns=columns or {})


def test_kinds_of_json_are_kept(tmp_path: Path) -> None:
    text = (
        '{"id": 1, "code": "007", "rate": 1.5, "member": true, "day": "2026-01-02", "note": "a\\nb"}\n'
        "\n"
        '{"id": 2, "rate": 2, "member": null, "day": "2026-01-03", "note": "", "late": 3}\n'
    )
    source = lines(tmp_path, text)
    assert source.inferred == {
        "id": "integer",
        "code": "string",
        "rate": "number",
        "member": "boolean",
        "day": "date",
        "note": "string",
        "late": "integer",
    }
    first, second = source.table.to_pylist()
    assert (first["code"], first["note"], first["late"], second["code"], second["note"]) == (
        "007",
        "a\nb",
        None,
        None,
        "",
    )
    assert (second["member"], second["late"]) == (None, 3)
    assert lines(tmp_path, gzip.compress(text.encode()), name="t.ndjson.gz").table.equals(source.table)
    assert lines(tmp_path, text, name="t.log", format="jsonl").table.equals(source.table)
    assert lines(tmp_path, text, nulls=[""]).table.to_pylist()[1]["note"] is None


def test_declared_types_win_and_misfits_are_named_by_line(tmp_path: Path) -> None:
    text = '{"x": "5"}\n\n{"x": "six"}\n{"x": 7}\n'
    assert lines(tmp_path, text).table.to_pydict() == {"x": ["5", "six", "7"]}
    with pytest.raises(ContractError) as caught:
        lines(tmp_path, text, {"x": {"type": "integer"}})
    assert "line 3" in str(caught.value.because)
    assert "\x01" not in str((caught.value.because, caught.value.help))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"a": {"b": 1}}', "a holds an object"),
        ('{"a": [1]}', "a holds a list"),
        ("[1]", "it is no object"),
        ("3", "it is no object"),
        ('{"a": 1', "at character"),
        ('{"a": NaN}', "NaN is no JSON"),
        ('{"a": 1, "a": 2}', "a key occurs twice"),
        ('{"a": "\\ud800"}', "a holds characters"),
        ('{"a": "\\u0000"}', "a holds characters"),
        ("{}", "it has no keys"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_what_is_no_flat_object_is_refused_by_line(tmp_path: Path, line: str, why: str) -> None:
    with pytest.raises(ContractError) as caught:
        lines(tmp_path, f'{{"a": 1}}\n{line}\n{line}\n')
    assert "2 lines cannot be taken" in caught.value.message
    assert caught.value.because[0].startswith("line 2: ")
    assert why in caught.value.because[0]


@pytest.mark.parametrize(("data", "why"), [(b"", "is empty"), (b"\n \n", "is empty"), (b"\xff\n", "1 line cannot")])
def test_nothing_and_no_text_are_refused(tmp_path: Path, data: bytes, why: str) -> None:
    with pytest.raises(ContractError, match=why):
        lines(tmp_path, data)


def test_a_gzip_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="not a whole gzip file"):
        lines(tmp_path, gzip.compress(b'{"a": 1}\n' * 1000)[:-20], name="t.jsonl.gz")


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0\x01"), max_size=8)
rows = st.fixed_dictionaries(
    {"t": st.none() | texts, "n": st.none() | st.integers(-(2**53), 2**53), "b": st.none() | st.booleans()}
)


@pytest.mark.heavy
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(rows, min_size=1, max_size=8))
def test_flat_values_come_back_as_they_were(tmp_path: Path, found: list[dict[str, Any]]) -> None:
    types = {"t": {"type": "string"}, "n": {"type": "integer"}, "b": {"type": "boolean"}}
    source = lines(tmp_path, "".join(f"{json.dumps(row)}\n" for row in found), types)
    assert source.table.select(["t", "n", "b"]).to_pylist() == found
