"""The table `runs` of the index: one row for each record that says how a run ended, read from its trailers alone.

A run that was judged again has several rows; the last of them counts. Metrics and parameters are JSON objects, so
that a search takes them out by name and a rebuild writes one row a record.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from custody.domain.record import Entry, Kind
from custody.domain.search import RunRow

SCHEMA = """CREATE TABLE runs (
  position INTEGER PRIMARY KEY, run TEXT NOT NULL, judged INTEGER NOT NULL, model TEXT, status TEXT, category TEXT,
  started TEXT, finished TEXT, seconds REAL, data TEXT, digest TEXT, passed INTEGER, gates INTEGER,
  code TEXT, actor TEXT, branch TEXT, artifact TEXT, metrics TEXT NOT NULL, params TEXT NOT NULL)"""
INDICES = ("CREATE INDEX by_judged ON runs (run, position) WHERE judged",)
INSERT = f"INSERT INTO runs VALUES ({', '.join('?' * 19)})"  # noqa: S608  (question marks alone)
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

_METRICS = re.compile(r"[A-Za-z_]\w*=-?\d+(\.\d+)?(e[+-]?\d+)?( [A-Za-z_]\w*=-?\d+(\.\d+)?(e[+-]?\d+)?)*", re.ASCII)
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?", re.ASCII)
_NOTHING = "{}"
_SURROGATE = "\\ud"


def run_row(position: int, entry: Entry, first: Mapping[str, str]) -> tuple[Any, ...] | None:
    """Return the row of a record, whose trailers are `first`; None where it does not say how a run ended."""
    run = first.get("Run")
    if run is None or entry.kind not in {Kind.RUN, Kind.VERDICT}:
        return None
    data, _, digest = first.get("Data", "").partition(" ")
    passed, slash, gates = first.get("Gates", "").partition("/")
    counted = slash and passed.isdigit() and gates.isdigit()
    return (
        position,
        run,
        entry.kind == Kind.VERDICT,
        first.get("Model"),
        first.get("Status"),
        first.get("Category"),
        _utc(first["Started"]) if "Started" in first else None,
        _utc(first.get("Finished") or entry.at) or _utc(entry.at),
        _seconds(first.get("Seconds")),
        data or None,
        digest.removeprefix("sha256:") or None,
        int(passed[:9]) if counted else None,
        int(gates[:9]) if counted else None,
        first.get("Code"),
        first.get("Actor") or entry.author.partition(" <")[0],
        first.get("Branch"),
        first.get("Artifact"),
        _metrics(first.get("Metrics")),
        _params(first.get("Params")),
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
    if _METRICS.fullmatch(text):
        return '{"' + text.replace("=", '":').replace(" ", ',"') + "}"
    pairs = (item.partition("=") for item in text.split())
    return json.dumps({name: float(value) for name, _, value in pairs if _NUMBER.fullmatch(value)})


def _params(text: str | None) -> str:
    """Return the trailer where it is a JSON object: anybody may have written it."""
    if not text:
        return _NOTHING
    try:
        found = _JSON.decode(text)
    except (ValueError, RecursionError):
        return _NOTHING
    if not isinstance(found, dict) or (
        _SURROGATE in text.lower() and not json.dumps(found, ensure_ascii=False).isprintable()
    ):
        return _NOTHING
    return text


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


_JSON = json.JSONDecoder(parse_constant=_refuse)


def _seconds(text: str | None) -> float | None:
    seconds = float(text) if text and _NUMBER.fullmatch(text) else None
    return seconds if seconds is not None and math.isfinite(seconds) else None


def _utc(text: str) -> str | None:
    """Return an ISO time in UTC to the second, so that times compare as texts; None where it is none."""
    if len(text) == 25 and text.endswith("+00:00"):  # noqa: PLR2004  (2026-11-24T18:20:07+00:00)
        return text
    try:
        return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        return None
