"""Runs as a table: what they are, their key metrics, and the parameters in which they differ; and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from custody.app.runs import Listing
from custody.cli.views.apply import number
from custody.cli.views.log import when
from custody.cli.views.plan import FORMAT_VERSION
from custody.cli.views.text import Tone, columns, fit, one_line
from custody.domain.record import RunStatus
from custody.domain.search import RunRow

_METRICS, _PARAMETERS, _WIDEST = 3, 5, 24
_TONES = {RunStatus.PASSED: Tone.GOOD, RunStatus.REJECTED: Tone.WARN}


def text(found: Listing) -> str:
    """Return a line for each run below a head that names the columns as conditions do."""
    if not found.rows:
        return "No run matches." if found.query.where or found.query.model else "No run is recorded yet."
    metrics, parameters = shown_metrics(found), shown_parameters(found)
    head = ["run", "model", "when", "status", "version", *metrics, *parameters]
    rows = [[Tone.FAINT(one_line(name)) for name in head]]
    rows += [_row(found, row, metrics, parameters) for row in found.rows]
    numbers = frozenset(range(5, 5 + len(metrics) + len(parameters)))
    kept = [index for index, name in enumerate(head) if name != "model" or not found.query.model]
    rows = [[row[index] for index in kept] for row in rows]
    return "\n".join(columns(rows, right=frozenset(kept.index(index) for index in numbers)))


def shown_metrics(found: Listing) -> tuple[str, ...]:
    """Return the metrics that were asked for, then those that stand first in most runs: the judged ones."""
    counts = Counter(name for row in found.rows for name in row.metrics)
    asked = [name for name in found.named if name in counts]
    first = Counter(name for row in found.rows for name in list(row.metrics)[:1])
    ordered = dict.fromkeys(name for name, _ in (*first.most_common(), *counts.most_common()))
    usual = [name for name in ordered if name not in asked]
    return (*asked, *usual[: max(0, _METRICS - len(asked))])


def shown_parameters(found: Listing) -> tuple[str, ...]:
    """Return the parameters that were asked for, then those that differ, where all runs are of one model."""
    asked = [name for name in found.named if any(name in row.params for row in found.rows)]
    if len({row.model for row in found.rows}) > 1:
        return tuple(asked)
    names = dict.fromkeys(name for row in found.rows for name in row.params)
    differ = [name for name in names if len({_parameter(row, name) for row in found.rows}) > 1]
    others = [name for name in differ if name not in asked]
    return (*asked, *others[: max(0, _PARAMETERS - len(asked))])


def to_json(found: Listing) -> dict[str, Any]:
    """Return the same facts of each run, and all of its metrics and parameters."""
    return {
        "format_version": FORMAT_VERSION,
        "where": found.query.text or None,
        "sort": found.query.sort.text if found.query.sort else None,
        "more": found.more,
        "complete": found.complete,
        "runs": [_json(found, row) for row in found.rows],
    }


def _row(found: Listing, row: RunRow, metrics: Sequence[str], parameters: Sequence[str]) -> list[str]:
    tone = _TONES.get(RunStatus(row.status), Tone.BAD) if row.status in list(RunStatus) else Tone.WARN
    return [
        f"{row.run[:8]}{Tone.INFO(' trial') if row.trial else ''}",
        one_line(row.model),
        when(row.finished),
        tone(one_line(row.status)),
        " ".join([f"v{row.version}" if row.version else "", *map(one_line, found.stages.get(row.run, ()))]).strip(),
        *(number(row.metrics[name]) if name in row.metrics else "" for name in metrics),
        *(_parameter(row, name) for name in parameters),
    ]


def _parameter(row: RunRow, name: str) -> str:
    if name not in row.params:
        return ""
    value = row.params[name]
    return fit(one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)), _WIDEST)


def _json(found: Listing, row: RunRow) -> dict[str, Any]:
    return {
        "run": row.run,
        "kind": "trial" if row.trial else "run",
        "model": row.model,
        "status": row.status,
        "category": row.category or None,
        "version": f"v{row.version}" if row.version else None,
        "stages": list(found.stages.get(row.run, ())),
        "started": row.started,
        "finished": row.finished,
        "seconds": row.seconds,
        "data": row.data or None,
        "digest": row.digest or None,
        "gates": None if row.gates is None else {"passed": row.gates_passed, "all": row.gates},
        "metrics": dict(row.metrics),
        "params": dict(row.params),
        "code": row.code or None,
        "artifact": row.artifact or None,
        "actor": row.actor or None,
        "branch": row.branch or None,
        "commit": row.commit,
    }
