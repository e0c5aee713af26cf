"""The message of a record's commit: subject, body, and trailers in the last paragraph, both ways.

    train churn: roc_auc 0.841 (+0.006), 7/7 gates passed

    A text of any length for people.

    Record: 01JD…
    Kind: run
    Format: 1
    Model: churn
    …
    Tool: custody 0.1.0

Only the last paragraph is ever parsed, and no value may hold a newline or a control character, so nothing that a spec,
an error text or a name says can pass for a trailer.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from custody.domain.record import FORMAT, Entry, Kind, Record
from custody.errors import LedgerError
from custody.git.objects import RawCommit

SUBJECT_LIMIT = 120
NONE = "none"
"""How a trailer says that there is nothing, where that is said at all."""

_KEY = re.compile(r"[A-Z][A-Za-z0-9]*+(?:-[A-Za-z0-9]++)*+")
_TRAILER = re.compile(rf"^({_KEY.pattern}): (.*)$", re.MULTILINE)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{3,127}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PLAIN = bytes(range(0x20, 0x7F)) + b"\n"
"""What needs no second look: printable ASCII and line ends."""
_OWN = ("Record", "Kind", "Format", "Note", "Tool")
_EFFECT = {
    Kind.REGISTER: ("version", "run", "artifact", "at"),
    Kind.PROMOTION: ("stage", "run", "version", "replaces", "at"),
    Kind.DEPLOYED: ("where", "stage", "version", "run", "artifact", "by", "at", "remark"),
    Kind.RENAME: ("was", "at"),
    Kind.HOLD: ("stage", "from", "to", "reason", "by", "at"),
}
_SEPARATORS = {"Cc", "Cs", "Zl", "Zp"}
_DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def encode(record: Record, tool: str, actor: str | None = None) -> str:
    """Return the commit message of `record`; `actor` is added where Git knows nobody.

    A subject that is too long is shortened. Raises LedgerError for text that cannot be kept.
    """
    if not _ID.fullmatch(record.id):
        raise LedgerError(f"{record.id!r} cannot be the id of a record")
    subject = _checked("the subject", record.subject)
    if len(subject) > SUBJECT_LIMIT:
        subject = subject[: SUBJECT_LIMIT - 1].rstrip() + "…"
    body = record.body.strip("\n")
    notes = [(target, "" if line == record.subject else line) for target, line in record.notes]
    if not body.isprintable() and any(_forbidden(char) and char not in "\n\t" for char in body):
        raise LedgerError("the body of a record holds control characters")
    trailers = [*_trailers(record, tool, actor), *_note_trailers(notes), ("Tool", tool)]
    lines = [f"{key}: {_checked(key, value)}" for key, value in trailers]
    parts = [subject, body, "\n".join(lines)] if body else [subject, "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def decode(commit: RawCommit) -> Entry | None:
    """Return the record that a commit holds; None for a commit that holds none, such as the first or a merge.

    Kinds and formats of later versions are carried as they are. Bytes that are not UTF-8 and control characters, which
    only a foreign writer can have put there, are replaced.
    """
    trailers = parse_trailers(commit.message)
    found = dict(reversed(trailers))
    if not found.get("Record") or not found.get("Kind"):
        return None
    text = commit.message.decode("utf-8", "replace").rstrip("\n")
    subject, _, rest = text.partition("\n\n")
    body = rest.rpartition("\n\n")[0]
    if not body.replace("\n", "").isprintable():
        body = "\n".join(_shown(line, keep="\t") for line in body.split("\n"))
    author = commit.author
    return Entry(
        commit.id,
        found["Record"],
        found["Kind"],
        _shown(subject.replace("\n", " ")),
        tuple(trailers),
        str(author),
        author.at.isoformat(),
        body,
    )


def parse_trailers(message: bytes) -> list[tuple[str, str]]:
    """Return the trailers of a message: all lines of its last paragraph, or nothing where one is no trailer."""
    before, _, last = message.rstrip(b"\n").rpartition(b"\n\n")
    if not before:
        return []
    text = last.decode("utf-8", "replace")
    trailers: list[tuple[str, str]] = _TRAILER.findall(text)
    if len(trailers) != text.count("\n") + 1:
        return []
    if not last.translate(None, _PLAIN) or text.replace("\n", "").isprintable():
        return trailers
    return [(key, _shown(value)) for key, value in trailers]


def effect_of(entry: Entry) -> dict[str, Any]:
    """Return the effect that the trailers of a decision or a hold hold; empty for every other kind."""
    names = next((names for kind, names in _EFFECT.items() if kind == entry.kind), ())
    values = ((name, entry.trailer(name.capitalize())) for name in names)
    effect: dict[str, Any] = {name: None if value == NONE else value for name, value in values}
    released = entry.trailer("Releases") if entry.kind == Kind.PROMOTION else None
    return effect | ({"releases": tuple(released.split())} if released else {})


def notes_of(entry: Entry) -> Iterator[tuple[str, str]]:
    """Yield (commit id, line) for each note that the record wants on another commit."""
    for key, value in entry.trailers:
        target, _, line = value.partition(" ")
        if key == "Note" and _COMMIT.fullmatch(target):
            yield target, line or entry.subject


def _trailers(record: Record, tool: str, actor: str | None) -> Iterator[tuple[str, str]]:
    own = [item for item in record.trailers if item[0] not in _OWN]
    written = {"Record": record.id, "Kind": str(record.kind), "Format": str(FORMAT), "Tool": tool}
    for key, value in record.trailers:
        if not _KEY.fullmatch(key):
            raise LedgerError(f"{key!r} cannot be the key of a trailer")
        if key in _OWN and written.get(key) != value:
            raise LedgerError(f"the trailer {key} is written by the ledger itself")
    for key in ("Record", "Kind", "Format"):
        yield key, written[key]
    yield from _implied(record, dict(reversed(own)))
    yield from own
    if actor and actor not in (value for key, value in own if key == "Actor"):
        yield "Actor", actor


def _note_trailers(notes: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield what the notes are rebuilt from; a line that is the subject is not written twice."""
    for target, line in notes:
        if not _COMMIT.fullmatch(target):
            raise LedgerError(f"a note needs a full commit id, not {target!r}")
        yield "Note", f"{target} {_checked('a note', line)}" if line else target


def _implied(record: Record, own: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the trailers that follow from the record itself and are not given; a given one must agree."""
    implied: dict[str, Any] = {"Model": record.model} if record.model is not None else {}
    for name in _EFFECT.get(record.kind, ()):
        implied[name.capitalize()] = NONE if record.effect.get(name) is None else record.effect[name]
    if record.effect.get("releases"):
        implied["Releases"] = " ".join(record.effect["releases"])
    for key, value in implied.items():
        if key not in own:
            yield key, str(value)
        elif own[key] != str(value):
            raise LedgerError(f"the trailer {key} says {own[key]!r}, the record itself {value!r}")


def _checked(what: str, value: str) -> str:
    """Return the text without blanks around it, which Git would not keep."""
    text = value.strip(" ")
    if not text:
        raise LedgerError(f"{what} of a record is empty")
    if not text.isprintable() and any(map(_forbidden, text)):
        raise LedgerError(f"{what} of a record holds a newline or a control character: {text[:80]!r}")
    return text


def _shown(text: str, keep: str = "") -> str:
    if text.isprintable():
        return text
    return "".join("\ufffd" if _forbidden(char) and char not in keep else char for char in text)


def _forbidden(char: str) -> bool:
    return not char.isprintable() and (char in _DIRECTIONS or unicodedata.category(char) in _SEPARATORS)
