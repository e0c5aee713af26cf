"""Runs: those of the ledger and the trials that a condition finds, from their indexes."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

from custody.app.branch import require_ledger
from custody.app.compare import trials
from custody.app.project import Project
from custody.app.records import named_now
from custody.core.expression import ExpressionError, did_you_mean, parse_condition
from custody.domain.ports import Ledger
from custody.domain.search import Order, RunQuery, RunRow, Word
from custody.errors import UsageError
from custody.ledger.search import descends, names_of


@dataclass(frozen=True, slots=True)
class RunsOptions:
    """What to list. `where` is a condition as it was typed; `limit` is at most so many, None for all."""

    model: str | None = None
    where: str | None = None
    sort: str | None = None
    order: Order = Order.BEST
    limit: int | None = 20
    trials: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """What was found: `more` is whether there are further runs, `complete` whether the whole history is here.

    `stages` maps the id of a run to the stages that point to it; `named` are the names that were asked for.
    """

    query: RunQuery
    rows: tuple[RunRow, ...]
    more: bool
    complete: bool
    stages: Mapping[str, tuple[str, ...]]
    named: tuple[str, ...]


def list_runs(project: Project, options: RunsOptions) -> Listing:
    """Return the runs that `options` ask for, newest first unless they are sorted.

    Raises UsageError for a condition that cannot be understood, or a model or name that nothing is recorded of.
    """
    require_ledger(project)
    now = named_now(project.ledger.state(), options.model) if options.model else None
    options = replace(options, model=now.name) if now else options
    query = _query(project, options)
    ledgers = _ledgers(project, options)
    _require_names(query, ledgers)
    limit = None if options.limit is None else options.limit + 1
    found = [ledger.search(replace(query, limit=limit)) for ledger in ledgers]
    rows = _merged(query, found)
    if options.model and not rows:
        _require_model(project, ledgers, options.model)
    shown = tuple(rows[: options.limit])
    complete = all(ledger.complete for ledger in ledgers)
    named = tuple(dict.fromkeys(word.text for word in names_of(query)))
    return Listing(query, shown, len(rows) > len(shown), complete, _stages_of(project, shown), named)


def _query(project: Project, options: RunsOptions) -> RunQuery:
    where = parse_condition(options.where) if options.where is not None else None
    sort = Word(options.sort, 1) if options.sort else None
    query = RunQuery(where, options.where or "", options.model, sort, options.order, now=project.now())
    if not any(word.text == "stage" for word in names_of(query)):
        return query
    stages: dict[str, tuple[str, ...]] = {}
    for model in project.ledger.state().models.values():
        for stage, pointer in model.stages.items():
            stages[stage] = (*stages.get(stage, ()), pointer.run)
    return replace(query, stages=stages)


def _ledgers(project: Project, options: RunsOptions) -> list[Ledger]:
    return trials(project) if options.trials else [project.ledger, *trials(project)]


def _require_names(query: RunQuery, ledgers: list[Ledger]) -> None:
    """Refuse a name that no run has: a slip of the pen would find nothing, for ever."""
    words = list(names_of(query))
    missing = {word.text for word in words}
    for ledger in ledgers:
        missing = set(ledger.unknown(sorted(missing)))
    if not missing or not any(ledger.search(RunQuery(limit=1)) for ledger in ledgers):
        return
    word = next(word for word in words if word.text in missing)
    known = {name for ledger in ledgers for name in ledger.known_names()}
    option, text = ("--sort", word.text) if word is query.sort else ("--where", query.text)
    message = f"no run has a metric, parameter or field {word.text}"
    raise ExpressionError(text, word, message, did_you_mean(word.text, known), option)


def _require_model(project: Project, ledgers: list[Ledger], model: str) -> None:
    if any(ledger.search(RunQuery(model=model, limit=1)) for ledger in ledgers):
        return
    near = get_close_matches(model, project.ledger.state().models, 1)
    hint = f"custody runs {near[0]}" if near else "custody runs"
    raise UsageError(f"no run of {model!r} is recorded", code="E601", help=(hint,))


def _merged(query: RunQuery, found: list[tuple[RunRow, ...]]) -> list[RunRow]:
    """Return all rows in one order; each ledger's own are in it already."""
    if query.sort is None:
        return list(heapq.merge(*found, key=lambda row: row.finished, reverse=True))
    rows = [row for part in found for row in part]
    ranked = [row for row in rows if row.rank is not None]
    ranked.sort(key=lambda row: (isinstance(row.rank, str), row.rank), reverse=descends(query))
    return [*ranked, *(row for row in rows if row.rank is None)]


def _stages_of(project: Project, rows: Iterable[RunRow]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for model in sorted({row.model for row in rows if not row.trial}):
        for stage, pointer in project.ledger.model(model).stages.items():
            found[pointer.run] = (*found.get(pointer.run, ()), stage)
    return found
