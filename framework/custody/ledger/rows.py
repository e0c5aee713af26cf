"""From the bytes of a commit to its row in the index. What a row says is what `codec.decode` says of the commit.

Nearly all commits are runs that custody wrote in printable ASCII, their trailers in its order. These are read by two
matches, which takes a third of the time: a ledger of a hundred thousand is indexed when a clone is first asked.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from custody.domain.record import Kind
from custody.git.objects import parse_commit, parse_time
from custody.ledger.codec import decode

Row = tuple[Any, ...]
"""The row of a commit. What is not there is "", and NULL in the table: sqlite3 takes much longer for None."""

_FIRST = ("Record", "Kind", "Model", "Run", "Status", "Category", "Data", "Artifact", "Metrics", "Params", "Gates")
_THEN = ("Key", "Steps", "Started", "Finished", "Seconds", "Code", "Actor", "Note")
_ELSE = ("Branch", "Version", "Stage")
_PASSED = {"Kind": ("Format",), "Gates": ("Failed", "Log"), "Steps": ("Plan",), "Code": ("Behalf", "Change", "Job")}
"""What custody writes behind one of them, and no row holds."""
_BEFORE = ("Replaces", "From", "Was")
"""Trailers that say what was there before: the run that a stage pointed to, or the name of the model."""

_HEADER = re.compile(
    r"tree [0-9a-f]{40}\n(?:parent [0-9a-f]{40}\n)*+"
    r"author ([!-;=?-~][ -;=?-~]*+<[ -;=?-~]*+>) ([0-9]{1,10} [+-](?:0[0-9]|1[0-4])[0-5][0-9])\n"
    r"(?:[^\n]++\n)*+\n([ -~]++)\n\n"
)
_TRAILERS = re.compile(
    "".join(
        f"(?:{key}: ([ -~]*+)\n)?" + "".join(f"(?:{other}: [ -~]*+\n)?" for other in _PASSED.get(key, ()))
        for key in (*_FIRST, *_THEN)
    )
    + "(?:(?:Note|Tool): [ -~]*+\n)*+"
)
_START = "\n\nRecord: "
_REST = ("",) * (len(_ELSE) + 1)

_ENDED = {str(Kind.RUN): 0, str(Kind.VERDICT): 1}
"""Kinds that say how a run ended, and whether it was judged again."""
_NOTHING = ("", "", "", "", 0, "", "", "", "", "", "", "", "")
_NO_RUN = ("",) * 15
WIDTH = 3 + len(_NOTHING) + len(_NO_RUN)
STEPS = 15
"""The place of the column `steps`."""
_METRICS = re.compile(r"(?:[A-Za-z_]\w*+=-?\d++(?:\.\d++)?+(?:e[+-]?\d++)?+(?: |\Z))++", re.ASCII)
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?", re.ASCII)
_COUNT = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")
_VERSION = re.compile(r"v?([0-9]{1,9})")
_EMPTY = "{}"
_SURROGATE = "\\ud"


def row_of(position: int, commit: str, data: bytes, *, line: bool) -> Row:
    """Return the row of a commit, from its raw bytes. Raises GitError where they are damaged."""
    told = _plain(data) or _any(commit, data)
    if told is None:
        return position, commit, int(line), *_NOTHING, *_NO_RUN
    author, at, subject, record, kind, model, run, status, category, on, artifact, metrics, params = told[:13]
    gates, key, steps, started, finished, seconds, code, actor, note, branch, version, stage, before = told[13:]
    row = (
        *(position, commit, int(line), record, kind, model, run, int(note != ""), subject, author, at),
        *(_version(version), stage, before, actor, steps or key),
    )
    judged = _ENDED.get(kind, "") if run else ""
    if judged == "":
        return *row, *_NO_RUN
    dataset, _, digest = on.partition(" ")
    count = _COUNT.fullmatch(gates)
    return (
        *row,
        judged,
        status,
        category,
        _utc(started),
        _utc(finished) or _utc(parse_time(at).isoformat()),
        _seconds(seconds),
        dataset,
        digest.removeprefix("sha256:"),
        int(count[1]) if count else "",
        int(count[2]) if count else "",
        code,
        branch,
        artifact,
        _metrics(metrics),
        _params(params),
    )


def as_stored(row: Row) -> Row:
    """Return a row as the table gives it back."""
    return tuple(None if value == "" else value for value in row)


def _plain(data: bytes) -> tuple[str, ...] | None:
    """Read a run as custody writes it, where nothing of it is beyond printable ASCII but the body; None for any other.

    Latin-1 keeps every byte one character, so that what is left out need not be UTF-8.
    """
    text = data.decode("latin-1")
    header = _HEADER.match(text)
    trailers = _TRAILERS.fullmatch(text, text.find(_START) + 2)
    if header is None or trailers is None or not trailers[1] or not trailers[2]:
        return None
    return *header.groups(), *trailers.groups(""), *_REST


def _any(commit: str, data: bytes) -> tuple[str, ...] | None:
    """Read any commit; None for one that holds no record."""
    raw = parse_commit(commit, data)
    entry = decode(raw)
    if entry is None:
        return None
    first = dict(reversed(entry.trailers))
    told = (first.get(key, "") for key in (*_FIRST, *_THEN, *_ELSE))
    before = next((first[name] for name in _BEFORE if name in first), "")
    at = f"{raw.author.at.timestamp():.0f} {raw.author.at:%z}"
    return entry.author, at, entry.subject, *told, before


def _metrics(text: str) -> str:
    """Return `roc_auc=0.84 f1=0.7` as JSON; what is no number is left out."""
    if not text:
        return _EMPTY
    if _METRICS.fullmatch(text) and text[-1] != " ":
        return '{"' + text.replace("=", '":').replace(" ", ',"') + "}"
    pairs = (item.partition("=") for item in text.split())
    return json.dumps({name: float(value) for name, _, value in pairs if _NUMBER.fullmatch(value)})


def _params(text: str) -> str:
    """Return the trailer where it is a JSON object: anybody may have written it."""
    if not text:
        return _EMPTY
    try:
        found, end = _SCAN(text, 0)
    except (ValueError, RecursionError, StopIteration):
        return _EMPTY
    if (
        not isinstance(found, dict)
        or end != len(text)
        or ("\\" in text and _SURROGATE in text.lower() and not json.dumps(found, ensure_ascii=False).isprintable())
    ):
        return _EMPTY
    return text


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


_SCAN: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder(parse_constant=_refuse).scan_once  # type: ignore[attr-defined]


def _seconds(text: str) -> float | str:
    seconds = float(text) if _NUMBER.fullmatch(text) else math.nan
    return seconds if math.isfinite(seconds) else ""


def _utc(text: str) -> str:
    """Return an ISO time in UTC to the second, so that times compare as texts; "" where it is none."""
    if len(text) == 25 and text.endswith("+00:00"):  # noqa: PLR2004  (2026-11-24T18:20:07+00:00)
        return text
    try:
        return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        return ""


def _version(text: str) -> int | str:
    found = _VERSION.fullmatch(text) if text else None
    return int(found[1]) if found else ""
