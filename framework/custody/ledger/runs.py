"""The view `runs` of the index: each record that says how a run ended, read from its trailers alone.

A run that was judged again has several rows; the last of them counts. Metrics and parameters are JSON objects, so
that a search takes them out by name and a rebuild writes one row a record.
"""

from __future__ import annotations

import json
import math
from typing import Any

from custody.domain.search import RunRow

COLUMNS = """judged INTEGER, status TEXT, category TEXT, started TEXT, finished TEXT, seconds REAL,
  data TEXT, digest TEXT, passed INTEGER, gates INTEGER,
  code TEXT, branch TEXT, artifact TEXT, metrics TEXT, params TEXT"""
"""What the table of commits has of a run, beside what it has of every record."""
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
