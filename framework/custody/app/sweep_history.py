"""Combinations of a space that runs and trials were recorded of: what a search may learn from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from custody.app.project import Project
from custody.core.space import Axis, Choice, Combination
from custody.domain.search import RunQuery
from custody.spec.emit import flow

_MOST = 100
"""The newest runs that are looked at: each costs a plan."""


def recorded(project: Project, model: str, axes: Sequence[Axis]) -> Iterator[Combination]:
    """Yield the combinations within the space whose values runs of the model say, oldest first, each once.

    Whether all else was the same is for their keys to tell.
    """
    rows = [row for ledger in (project.ledger, *project.all_trials) for row in ledger.search(RunQuery(model=model))]
    newest = sorted(rows, key=lambda row: (row.finished, row.run))[-_MOST:]
    yield from dict.fromkeys(found for row in newest if (found := _combination(axes, row.params)))


def _combination(axes: Sequence[Axis], params: Mapping[str, Any]) -> Combination | None:
    values = [_text(axis, params) for axis in axes]
    texts = tuple(text for text in values if text is not None)
    return texts if len(texts) == len(axes) else None


def _text(axis: Axis, params: Mapping[str, Any]) -> str | None:
    """Return the value as it is typed; None where the run had another one, or does not say."""
    if isinstance(axis, Choice) and len(axis.values) == 1:
        return axis.values[0]
    if axis.name not in params:
        return None
    value = params[axis.name]
    if isinstance(axis, Choice):
        return text if (text := flow(value)) in axis.values else None
    if not axis.holds(value):
        return None
    return str(value) if axis.integer else repr(float(value))
