"""The view `runs` of the index: each record that says how a run ended, read from its trailers alone.

A run that was judged again has several rows; the last of them counts. Metrics and parameters are JSON objects, so
that a search takes them out by name and a rebuild writes one row a record.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from custody.domain.record import Kind
from custody.domain.search import RunRow
from custody.git.objects import parse_time

COLUMNS = """judged INTEGER, status TEXT, category TEXT, started TEXT, finished TEXT, seconds REAL,
  data TEXT, digest TEXT, passed INTEGER, gates INTEGER,
  code TEXT, branch TEXT, artifact TEXT, metrics TEXT, params TEXT"""
"""What the table of commits has of a run, beside what it has of every record."""
NO_RUN = ("",) * 15
VIEW = """CREATE VIEW runs AS
  SELECT position, run, judged, model, status, category, started, finished, seconds, data, digest, passed, gates, code,
  coalesce(actor, substr(author, 1, instr(author, ' <') - 1)) AS actor, branch, artifact, metrics, params
  FROM commits WHERE judged IS NOT NULL"""
INDEX = "CREATE INDEX by_judged ON commits (run, position) WHERE judged"
_COLUMNS = (
    "run, model, status, category, started, finished, seconds, data, digest, passed, gates, code, actor, branch,"
    " artifact, metrics, params"
)
CURRENT = (
    "NOT EXISTS (SELECT 1 FROM runs AS later"
    " WHERE later.judged AND later.run = runs.run AND later.position > runs.position)"
)
"""That no later record judged the run again."""

VERSION = "(SELECT MAX(version) FROM commits AS named WHERE named.run = runs.run AND named.kind = 'register')"

_RUN, _VERDICT = str(Kind.RUN), str(Kind.VERDICT)
_METRICS = re.compile(r"(?:[A-Za-z_]\w*+=-?\d++(?:\.\d++)?+(?:e[+-]?\d++)?+(?: |\Z))++", re.ASCII)
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?", re.ASCII)
_NOTHING = "{}"
_SURROGATE = "\\ud"


def run_columns(first: Mapping[str, str], at: str) -> tuple[Any, ...]:
    """Return the columns of a record, whose trailers are `first`; nothing where it does not say how a run ended.

    `at` is the time of its commit in Git's form.
    """
    get = first.get
    verdict = first["Kind"] == _VERDICT
    if not get("Run") or not (verdict or first["Kind"] == _RUN):
        return NO_RUN
    data, _, digest = get("Data", "").partition(" ")
    passed, slash, gates = get("Gates", "").partition("/")
    counted = slash and passed.isdigit() and gates.isdigit()
    return (
        int(verdict),
        get("Status", ""),
        get("Category", ""),
        _utc(get("Started", "")),
        _utc(get("Finished", "")) or _utc(parse_time(at).isoformat()),
        _seconds(get("Seconds", "")),
        data,
        digest.removeprefix("sha256:"),
        int(passed[:9]) if counted else "",
        int(gates[:9]) if counted else "",
        get("Code", ""),
        get("Branch", ""),
        get("Artifact", ""),
        _metrics(get("Metrics")),
        _params(get("Params")),
    )


def select(picked: str) -> str:
    """Return the SELECT that `read_row` reads, of the rows that `picked` finds: (position, rank) in their order."""
    columns = ", ".join(f"runs.{name.strip()}" for name in _COLUMNS.split(","))
    return (
        f"WITH picked AS ({picked}) SELECT commits.id, {VERSION}, picked.rank, {columns}"  # noqa: S608
        " FROM picked JOIN runs USING (position) JOIN commits USING (position)"
    )


def read_row(row: tuple[Any, ...], *, trial: bool) -> RunRow:
    """Return the run of a row of `select`."""
    commit, version, rank = row[:3]
    found = dict(zip((name.strip() for name in _COLUMNS.split(",")), row[3:], strict=True))
    return RunRow(
        run=found["run"],
        commit=commit,
        trial=trial,
        model=found["model"] or "",
        status=found["status"] or "",
        category=found["category"] or "",
        version=version,
        started=found["started"],
        finished=found["finished"],
        seconds=found["seconds"],
        data=found["data"] or "",
        digest=found["digest"] or "",
        gates_passed=found["passed"],
        gates=found["gates"],
        code=found["code"] or "",
        actor=found["actor"] or "",
        branch=found["branch"] or "",
        artifact=found["artifact"] or "",
        metrics={name: value for name, value in json.loads(found["metrics"]).items() if math.isfinite(value)},
        params=json.loads(found["params"]),
        rank=rank,
    )


def _metrics(text: str | None) -> str:
    """Return `roc_auc=0.84 f1=0.7` as JSON; what is no number is left out."""
    if not text:
        return _NOTHING
    if _METRICS.fullmatch(text) and text[-1] != " ":
        return '{"' + text.replace("=", '":').replace(" ", ',"') + "}"
    pairs = (item.partition("=") for item in text.split())
    return json.dumps({name: float(value) for name, _, value in pairs if _NUMBER.fullmatch(value)})


def _params(text: str | None) -> str:
    """Return the trailer where it is a JSON object: anybody may have written it."""
    if not text:
        return _NOTHING
    try:
        found, end = _SCAN(text, 0)
    except (ValueError, RecursionError, StopIteration):
        return _NOTHING
    if (
        not isinstance(found, dict)
        or end != len(text)
        or (_SURROGATE in text.lower() and not json.dumps(found, ensure_ascii=False).isprintable())
    ):
        return _NOTHING
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
