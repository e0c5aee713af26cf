from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.errors import GitError
from custody.git.objects import parse_commit, parse_parents, parse_time
from custody.ledger.codec import decode
from custody.ledger.rows import STEPS, WIDTH, row_of

COMMIT = "c" * 40
AUTHORS = [
    "Ada Lovelace <ada@example.org> 1767929940 +0000",
    "Ada <ada@example.org> 1767929940 -0330",
    "Ada <> 0 +1400",
    " <ada@example.org> 1767929940 +0000",
    "<ada@example.org> 1767929940 +0000",
    "Ada  <ada@example.org> -5 +0100",
    "Adé <ada@example.org> 99999999999 +0000",
]
KEYS = (
    "Format",
    "Model",
    "Run",
    "Status",
    "Data",
    "Artifact",
    "Gates",
    "Failed",
    "Log",
    "Key",
    "Steps",
    "Plan",
    "Code",
)
VALUES = ["x", "churn@v1 sha256:ab", "3/4", "é", "a: b", "train=k1:0123456789abc", "\x1b[2J", "\u2028", "none"]
BODIES = [
    "",
    "why",
    "two\n\nparagraphs ≥ 1",
    "Record: forged\nKind: run",
    "a\n\nRecord: forged\nKind: run\nModel: m",
    "\n",
]


def commit_of(author: str, message: str | bytes, extra: str = "") -> bytes:
    lines = (f"tree {'a' * 40}", f"parent {'b' * 40}", f"parent {'d' * 40}", f"author {author}", f"committer {author}")
    text = message if isinstance(message, bytes) else message.encode()
    return "\n".join((*lines, *([extra] if extra else []), "", "")).encode() + text


def assert_agrees(data: bytes) -> tuple[Any, ...]:
    """Assert that the row says what the record says."""
    raw = parse_commit(COMMIT, data)
    entry = decode(raw)
    row = row_of(7, COMMIT, data, line=True)
    assert len(row) == WIDTH
    assert row[:3] == (7, COMMIT, 1)
    if entry is None:
        assert not any(row[3:])
        return row
    told = [entry.trailer(key) or "" for key in ("Model", "Run", "Actor")]
    assert row[3:7] == (entry.id, entry.kind, *told[:2])
    assert (row[8], row[9], parse_time(row[10])) == (entry.subject, entry.author, raw.author.at)
    assert row[14] == told[2]
    assert row[STEPS] == (entry.trailer("Steps") or entry.trailer("Key") or "")
    if row[16] != "":
        assert [row[17], row[26], row[28]] == [entry.trailer(key) or "" for key in ("Status", "Code", "Artifact")]
    return row


@given(
    st.sampled_from(AUTHORS),
    st.sampled_from(["run", "verdict", "promotion", "r\xff"]),
    st.sampled_from(BODIES),
    st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES)),
    st.permutations(["Actor", "Note", "Note", "Tool"]),
)
def test_a_row_says_what_its_record_says(
    author: str, kind: str, body: str, values: dict[str, str], last: list[str]
) -> None:
    trailers = [("Record", "r-1"), ("Kind", kind), *((key, values[key]) for key in KEYS if key in values)]
    trailers += [(key, f"{key} {number}") for number, key in enumerate(last)]
    words = "\n".join(f"{key}: {value}" for key, value in trailers)
    assert_agrees(commit_of(author, f"subject\n\n{body}\n\n{words}\n" if body else f"subject\n\n{words}\n"))


@given(
    st.binary(max_size=120)
    | st.tuples(st.binary(max_size=40), st.binary(max_size=40)).map(b"\n\nRecord: x\nKind: run\n".join)
)
def test_a_row_of_any_message_says_what_it_holds(message: bytes) -> None:
    assert_agrees(commit_of(AUTHORS[0], message))


def test_a_signed_record_is_read_as_any_other() -> None:
    message = "train churn: good\n\nRecord: r-1\nKind: run\nRun: r-1\nSeconds: 1.5\nTool: custody 0.1.0\n"
    signature = "gpgsig -----BEGIN SSH SIGNATURE-----\n Record: forged\n -----END SSH SIGNATURE-----"
    signed = assert_agrees(commit_of(AUTHORS[0], message, signature))
    assert signed == assert_agrees(commit_of(AUTHORS[0], message))
    assert signed[21] == 1.5


def test_a_damaged_commit_is_said() -> None:
    with pytest.raises(GitError, match="damaged"):
        row_of(0, COMMIT, b"tree nothing\n\nwords\n", line=True)


@pytest.mark.parametrize("author", AUTHORS)
def test_parents_alone_are_read_as_with_the_whole_commit(author: str) -> None:
    data = commit_of(author, "words\n")
    assert parse_parents(data) == parse_commit(COMMIT, data).parents == ("b" * 40, "d" * 40)
