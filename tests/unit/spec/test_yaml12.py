from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.spec.emit import block, flow
from custody.spec.yaml12 import DEPTH, LIMIT, UnusualError, _Walk, parse, values


def found(text: str | bytes) -> list[tuple[str, int, int]]:
    data = text.encode() if isinstance(text, str) else text
    return [(item.code, item.place.line, item.place.column) for item in parse(data, "f.yaml").problems if item.place]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("1e-3", 0.001),
        ("0o7", 7),
        ("0x1F", 31),
        ("007", 7),
        ("3.10", 3.1),
        ("-.5", -0.5),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2026-11-24", "2026-11-24"),
        ('"3.10"', "3.10"),
        ("'on'", "on"),
        ("[1, a]", [1, "a"]),
    ],
)
def test_values_are_those_of_yaml_1_2(text, value):
    parsed = parse(f"key: {text}\n".encode(), "f.yaml")
    assert parsed.value["key"] == value
    assert type(parsed.value["key"]) is type(value)
    assert not parsed.problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", [("E103", 3, 1)]),
        ("a: {x: 1, x: 2}\n", [("E103", 1, 11)]),
        ("a: &x 1\nb: *x\n", [("E114", 1, 4), ("E114", 2, 4)]),
        ("a: &x {b: *x}\n", [("E114", 1, 4), ("E114", 1, 11)]),
        ("<<: {a: 1}\n", [("E115", 1, 1)]),
        ("a: !!int 3\nb: !own x\n", [("E116", 1, 4), ("E116", 2, 4)]),
        ("%YAML 1.1\n---\na: 1\n", [("E116", 1, 1)]),
        ("a: 1\n---\nb: 2\n", [("E117", 2, 1)]),
        ("a: .inf\nb: -.INF\nc: .nan\nd: 1e999\n", [("E118", 1, 4), ("E118", 2, 4), ("E118", 3, 4), ("E118", 4, 4)]),
        (f"a: {'9' * 5000}\n", [("E118", 1, 4)]),
        ("- a\n", [("E104", 1, 1)]),
        ("just words\n", [("E104", 1, 1)]),
        ("a:\n\tb: 1\n", [("E113", 2, 1)]),
        ("a: [1, 2\nb: 3\n", [("E112", 1, 4)]),
        ("a: 'open\n", [("E112", 1, 4)]),
        ("a: b: c\n", [("E112", 1, 5)]),
        ("a: x\x01\n", [("E112", 1, 5)]),
        ("? [a]\n: 1\n", [("E119", 1, 3)]),
        (b"a: b\nc: \xff\n", [("E110", 2, 4)]),
        ("a: 1\n" + "#" * LIMIT, [("E111", 1, 1)]),
    ],
)
def test_what_a_spec_may_not_hold_is_placed(text, expected):
    assert found(text) == expected


def test_all_problems_are_reported_at_once():
    assert [code for code, *_ in found("a: 1\na: 2\nb: *x\nc: !t 1\nd: .nan\n")] == ["E103", "E114", "E116", "E118"]


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_deep_nesting_is_refused_before_it_can_hurt(opening):
    text = opening * 100_000
    (fault,) = found(f"x: {text}" if opening != "- " else text)
    assert fault[0] in {"E119", "E112"}


def test_depth_counts_levels():
    nested = "1"
    for _ in range(DEPTH - 1):
        nested = f"[{nested}]"
    assert not found(f"a: {nested}\n")
    assert [code for code, *_ in found(f"a: [{nested}]\n")] == ["E119"]


def test_places_count_characters_and_know_keys():
    places = parse("日本: {x: 1}\nb:\n  - one\n  - two words\n".encode(), "f.yaml").places
    assert str(places["日本.x"]) == "f.yaml:1:9"
    assert (places["日本.x#key"].column, places["日本.x#key"].width) == (6, 1)
    assert (str(places["b.1"]), places["b.1"].width) == ("f.yaml:4:5", 9)


def test_a_byte_order_mark_and_an_empty_file_are_harmless():
    assert parse(b"\xef\xbb\xbfa: 1\n", "f.yaml").value == {"a": 1}
    assert parse(b"# nothing\n", "f.yaml").value == {}


@given(st.binary(max_size=200))
def test_no_bytes_raise(data):
    parsed = parse(data, "f.yaml")
    assert isinstance(parsed.value, dict)


@given(st.text(alphabet="ab:-{}[],&*!|>'\"#% \n\t<?1.e0", max_size=60))
def test_the_fast_walk_and_the_placing_walk_agree(text):
    walk = _Walk(text, "f.yaml")
    slow = walk.document()
    try:
        fast = values(text)
    except UnusualError:
        assert walk.problems or slow == {}
    else:
        assert not walk.problems
        assert fast == slow


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
scalars = st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
trees = st.recursive(
    scalars | texts, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=12
)


@given(st.dictionaries(keys, trees, max_size=4))
def test_what_is_written_is_read_back(value):
    parsed = parse(block(value, deep=frozenset(value)).encode(), "f.yaml")
    assert not parsed.problems
    assert json.dumps(parsed.value) == json.dumps(value)


@pytest.mark.parametrize("text", ["on", "null", "1e3", "3.10", "007", " x", "a: b", "#", "", "a\nb", "\x85", "é", "-"])
def test_texts_that_look_like_something_else_are_quoted(text):
    assert parse(f"a: {flow([text])}\n".encode(), "f.yaml").value == {"a": [text]}
