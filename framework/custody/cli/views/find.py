"""Models that match: one row each, with what matched where a column was asked for."""

from __future__ import annotations

from typing import Any

from custody.app.find import Findings, Found, Use
from custody.cli.views.text import Tone, columns, one_line

_HEAD = ("model", "owner", "purpose", "data", "states", "as")


def text(found: Findings) -> str:
    """Return one row a model and form that matches; empty where none does."""
    if not found.models:
        return ""
    rows = [row for item in found.models for row in _rows(item, found.query.column)]
    head = [*_HEAD, found.query.column] if found.query.column else list(_HEAD)
    return "\n".join(columns([[Tone.FAINT(one_line(cell)) for cell in head], *rows]))


def to_json(found: Findings) -> dict[str, Any]:
    """Return the same facts."""
    query = found.query
    names = ("owner", "dataset", "column", "purpose", "state")
    return {
        "query": {name: getattr(query, name) for name in names if getattr(query, name) is not None},
        "models": [
            {"model": item.model, "states": list(item.states), "uses": [_use_json(use) for use in item.uses]}
            for item in found.models
        ],
        "of": found.total,
        "problem": found.problem or None,
    }


def _rows(item: Found, column: str | None) -> list[list[str]]:
    rows = (
        []
        if item.uses
        else [[one_line(item.model), "", "", "", ", ".join(map(one_line, item.states)), *["", ""][: 1 + bool(column)]]]
    )
    for number, use in enumerate(_merged(item.uses)):
        first = [one_line(item.model)] if number == 0 else [""]
        states = ", ".join(map(one_line, item.states)) if number == 0 else ""
        cells = [*first, one_line(use.owner), one_line(use.purpose), one_line(f"{use.dataset}@{use.version}")]
        rows.append([*cells, states, one_line(use.form), *([", ".join(use.columns[column])] if column else [])])
    return rows


def _merged(uses: tuple[Use, ...]) -> list[Use]:
    """Return the forms, those that say the same as one."""
    kept: list[Use] = []
    for use in uses:
        same = next((i for i, other in enumerate(kept) if _said(other) == _said(use)), None)
        if same is None:
            kept.append(use)
        else:
            one = kept[same]
            kept[same] = Use(f"{one.form}, {use.form}", use.run, *_said(one))
    return kept


def _said(use: Use) -> tuple[Any, ...]:
    return use.owner, use.purpose, use.dataset, use.version, use.columns


def _use_json(use: Use) -> dict[str, Any]:
    return {
        "as": use.form,
        "run": use.run,
        "owner": use.owner,
        "purpose": use.purpose,
        "dataset": use.dataset,
        "version": use.version,
        "columns": {name: list(roles) for name, roles in use.columns.items()},
    }
