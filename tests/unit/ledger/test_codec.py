from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.core.deployments import deployed_record
from custody.core.recording import Source, gc_record
from custody.core.renames import rename_record
from custody.domain.record import Deployed, Kind, ModelState, Record, Version
from custody.errors import LedgerError
from custody.git.objects import Person, RawCommit
from custody.ledger.codec import decode, effect_of, encode, notes_of, parse_trailers

ADA = Person("Ada", "ada@example.org", datetime(2026, 11, 24, tzinfo=UTC))
TOOL = "custody 0.1.0"


def stored(message: str | bytes) -> RawCommit:
    data = message if isinstance(message, bytes) else message.encode()
    return RawCommit("f" * 40, "e" * 40, (), ADA, ADA, data)


_TEXT = st.characters(
    exclude_categories=("Cc", "Cs", "Zl", "Zp"),
    exclude_characters="\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
)
_LINE = st.text(_TEXT, min_size=1, max_size=60).map(str.strip).filter(bool)
_FORGED = st.sampled_from(
    ["Record: forged", "Kind: promotion", "Model: other", "\n\nRecord: forged\nKind: run", "Run: x\n"]
)
_BODY = st.lists(st.text(st.one_of(_TEXT, st.sampled_from("\n\t")), max_size=40) | _FORGED, max_size=4).map("\n".join)
_KEYS = st.from_regex(r"[A-Z][a-z]{1,8}(-[A-Z][a-z]{1,5})?", fullmatch=True).filter(
    lambda key: key not in {"Record", "Kind", "Format", "Note", "Tool", "Model"}
)


@given(_LINE, _BODY, st.lists(st.tuples(_KEYS, _LINE), max_size=6), st.sampled_from([None, "churn", "Kind: run"]))
def test_what_is_encoded_is_decoded(
    subject: str, body: str, trailers: list[tuple[str, str]], model: str | None
) -> None:
    record = Record("01JD-record", Kind.RUN, subject, tuple(trailers), model, body)
    entry = decode(stored(encode(record, TOOL)))
    assert entry is not None
    assert (entry.id, entry.kind, entry.subject, entry.body) == (record.id, "run", subject, body.strip("\n"))
    fixed = [("Record", record.id), ("Kind", "run"), ("Format", "1")]
    named = [("Model", model)] if model else []
    assert list(entry.trailers) == [*fixed, *named, *trailers, ("Tool", TOOL)]
    assert entry.author == "Ada <ada@example.org>"
    assert entry.at == "2026-11-24T00:00:00+00:00"


@given(st.text(max_size=80))
def test_any_value_is_kept_as_it_is_or_refused(value: str) -> None:
    record = Record("01JD-record", Kind.RUN, "subject", (("Error", value),))
    try:
        entry = decode(stored(encode(record, TOOL)))
    except LedgerError:
        return
    assert entry is not None
    assert entry.trailer("Error") == value.strip(" ")
    assert [key for key, _ in entry.trailers] == ["Record", "Kind", "Format", "Error", "Tool"]


@pytest.mark.parametrize("value", ["a\nRecord: b", "a\rb", "a\0", "\x1b[2J", "\u2028", "\u202eabc", "\ud800", "", " "])
def test_values_that_could_forge_are_refused(value: str) -> None:
    for record in (
        Record("01JD-record", Kind.RUN, "subject", (("Error", value),)),
        Record("01JD-record", Kind.RUN, value, ()),
        Record("01JD-record", Kind.RUN, "subject", (), notes=(("a" * 40, value + "\n"),)),
        Record("01JD-record", Kind.RUN, "subject", (), "x" + value + "\n"),
    ):
        with pytest.raises(LedgerError):
            encode(record, TOOL)


@pytest.mark.parametrize("key", ["", "error", "A b", "A:", "Ä", "-A", "A-", "Record", "Tool", "Note", "A\n"])
def test_keys_that_are_none_are_refused(key: str) -> None:
    with pytest.raises(LedgerError):
        encode(Record("01JD-record", Kind.RUN, "subject", ((key, "value"),)), TOOL)


@pytest.mark.parametrize("bad", ["", "a b", "../x", "abc", "x" * 200, "a\n"])
def test_ids_that_are_none_are_refused(bad: str) -> None:
    with pytest.raises(LedgerError):
        encode(Record(bad, Kind.RUN, "subject", ()), TOOL)


def test_a_body_with_control_characters_is_refused() -> None:
    for body in ("\x1b[31m", "a\r\nb", "\0", "\u2029"):
        with pytest.raises(LedgerError):
            encode(Record("01JD-record", Kind.RUN, "subject", (), body=body), TOOL)


def test_a_long_subject_is_shortened() -> None:
    entry = decode(stored(encode(Record("01JD-record", Kind.RUN, "word " * 60 + "end", ()), TOOL)))
    assert entry is not None
    assert len(entry.subject) <= 120
    assert entry.subject.endswith("word…")


@given(st.sampled_from([Kind.REGISTER, Kind.PROMOTION]), st.sampled_from([None, "run-1"]))
def test_the_effect_of_a_decision_is_in_its_trailers(kind: Kind, replaces: str | None) -> None:
    effect: dict[str, Any] = {"version": "v1", "run": "run-2", "at": "2026-11-24T00:00:00+00:00"}
    effect |= {"artifact": None} if kind is Kind.REGISTER else {"stage": "production", "replaces": replaces}
    record = Record("01JD-record", kind, "subject", (("Run", "run-2"), ("Actor", "Ada")), "churn", effect=effect)
    entry = decode(stored(encode(record, TOOL)))
    assert entry is not None
    assert effect_of(entry) == effect
    assert [key for key, _ in entry.trailers].count("Run") == 1
    with pytest.raises(LedgerError, match="Run"):
        encode(Record("01JD-record", kind, "subject", (("Run", "other"),), "churn", effect=effect), TOOL)


GC = """\
gc store: 1 object dropped, 2 kept (900 → 500 bytes)

{digest}

Record: 9f1c2a7be04d5a11
Kind: gc
Format: 1
Dropped: 1 object, 400 bytes
Kept: 2 objects, 500 bytes
Code: {code}
Behalf: Ann <ann@example.org>
Tool: custody 0.1.0
"""


def test_the_stored_record_of_a_gc_is_written_and_read_alike() -> None:
    digest, code = "a" * 64, "e" * 40
    text = GC.format(digest=digest, code=code)
    kept = {"b" * 64: 200, "c" * 64: 300}
    record = gc_record("9f1c2a7be04d5a11", kept, {digest: 400}, Source(code, "Ann <ann@example.org>"))
    assert encode(record, TOOL) == text
    entry = decode(stored(text))
    assert entry is not None
    assert (entry.kind, entry.body, effect_of(entry)) == (Kind.GC, digest, {})


def test_notes_can_be_rebuilt_from_the_message() -> None:
    notes = (("a" * 40, "train churn: ok"), ("b" * 40, "another line"))
    message = encode(Record("01JD-record", Kind.RUN, "train churn: ok", (), notes=notes), TOOL)
    entry = decode(stored(message))
    assert entry is not None
    assert tuple(notes_of(entry)) == notes
    assert message.count("train churn: ok") == 1
    with pytest.raises(LedgerError, match="full commit id"):
        encode(Record("01JD-record", Kind.RUN, "s", (), notes=(("abc", "line"),)), TOOL)


def test_who_is_unknown_is_said() -> None:
    nobody = "ada@host (no Git identity configured)"
    entry = decode(stored(encode(Record("01JD-record", Kind.RUN, "s", (("Actor", "ci"),)), TOOL, nobody)))
    assert entry is not None
    assert [value for key, value in entry.trailers if key == "Actor"] == ["ci", nobody]
    entry = decode(stored(encode(Record("01JD-record", Kind.RUN, "s", (("Actor", nobody),)), TOOL, nobody)))
    assert entry is not None
    assert [value for key, value in entry.trailers if key == "Actor"] == [nobody]


def test_commits_without_a_record_are_none() -> None:
    for message in ("", "subject", "subject\n\nbody", "s\n\nKind: run", "s\n\nRecord: x", "Record: x\nKind: run\n"):
        assert decode(stored(message)) is None
    assert decode(stored("s\n\nRecord: x\nKind: run\n\nbody that follows")) is None
    assert decode(stored("s\n\nRecord: x\nnot a trailer\nKind: run")) is None


def test_what_later_or_foreign_writers_wrote_is_carried() -> None:
    later = decode(stored("s\n\nRecord: x\nKind: prophecy\nFormat: 9\nNew-Key: value\n"))
    assert later is not None
    assert later.kind == "prophecy"
    assert later.trailer("New-Key") == "value"
    foreign = decode(stored(b"s\xff\x1b[2J\ncont\n\nb\x07\tb\n\nRecord: x\nKind: r\xfe\x1bun\n"))
    assert foreign is not None
    assert foreign.subject == "s\ufffd\ufffd[2J cont"
    assert foreign.body == "b\ufffd\tb"
    assert foreign.kind == "r\ufffd\ufffdun"


@given(
    st.binary(max_size=120)
    | st.tuples(st.binary(max_size=40), st.binary(max_size=40)).map(b"\n\nRecord: x\nKind: y\n".join)
)
def test_any_message_is_read_without_failing(message: bytes) -> None:
    entry = decode(stored(message))
    if entry is not None:
        assert all(value.isprintable() or " " not in value for _, value in entry.trailers)
        assert "\n" not in entry.subject


def test_git_reads_the_same_trailers(tmp_path: Path) -> None:
    body = "Record: forged\nKind: forged\n\nModel: forged"
    record = Record(
        "01JD-record", Kind.RUN, "train churn: ok", (("Run", "run-1"), ("Metrics", "a=1, b: 2")), "churn", body
    )
    message = encode(record, TOOL, "ada@host (no Git identity configured)")
    done = subprocess.run(
        ["git", "interpret-trailers", "--parse"],
        input=message,
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout.splitlines() == [f"{key}: {value}" for key, value in parse_trailers(message.encode())]
    assert "forged" not in done.stdout


DEPLOYED = """\
deployed churn: production at eu-cluster is v2: by hand

Record: 9f1c2a7be04d5a12
Kind: deployed
Format: 1
Where: eu-cluster
Stage: production
Version: v2
Run: 1a2b3c4d5e6f7a8b
Artifact: none
By: Ann <ann@example.org>
At: 2026-11-24T18:20:00+00:00
Remark: by hand
Model: churn
Code: {code}
Behalf: Ann <ann@example.org>
Note: {commit} production at eu-cluster: deployed, by hand
Tool: custody 0.1.0
"""
RENAME = """\
rename churn: it is leavers now, 1 version

Record: 9f1c2a7be04d5a13
Kind: rename
Format: 1
Was: churn
At: 2026-11-24T18:20:00+00:00
Model: leavers
Code: {code}
Behalf: Ann <ann@example.org>
Note: {code}
Tool: custody 0.1.0
"""
AT, CODE, COMMIT = "2026-11-24T18:20:00+00:00", "e" * 40, "d" * 40
SOURCE = Source(CODE, "Ann <ann@example.org>")


def test_the_stored_record_of_what_is_deployed_is_written_and_read_alike() -> None:
    text = DEPLOYED.format(code=CODE, commit=COMMIT)
    where = ("eu-cluster", "production", "v2", "1a2b3c4d5e6f7a8b")
    item = Deployed("9f1c2a7be04d5a12", *where, None, "Ann <ann@example.org>", AT, "by  hand")
    record = deployed_record(ModelState("churn"), item, SOURCE, COMMIT)
    assert encode(record, TOOL) == text
    entry = decode(stored(text))
    assert entry is not None
    assert effect_of(entry) == record.effect
    assert list(notes_of(entry)) == [(COMMIT, "production at eu-cluster: deployed, by hand")]


def test_the_stored_record_of_a_rename_is_written_and_read_alike() -> None:
    text = RENAME.format(code=CODE)
    former = ModelState("churn", versions={"v1": Version("v1", "run-1", None, "r")}, records=3)
    record = rename_record("9f1c2a7be04d5a13", "leavers", "churn", (former, ModelState("leavers")), SOURCE, AT)
    assert record is not None
    assert encode(record, TOOL) == text
    entry = decode(stored(text))
    assert entry is not None
    assert effect_of(entry) == record.effect == {"was": "churn", "at": AT}
    taken = ModelState("leavers", was=("churn",))
    assert rename_record("9f1c2a7be04d5a13", "leavers", "churn", (former, taken), SOURCE, AT) is None
