"""A sweep as a table, the best combination first, and what to do with it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from custody.app.sweep import Sweep, TriedCombination
from custody.cli.views.apply import number
from custody.cli.views.measured import signed
from custody.cli.views.plan import FORMAT_VERSION
from custody.cli.views.text import Tone, columns, fit, one_line, plural
from custody.cli.views.trial import ending, model_json

_ROWS, _WIDEST, _NOTE = 30, 24, 100
_TONES = {"done": Tone.GOOD, "refused": Tone.WARN, "failed": Tone.BAD, "interrupted": Tone.WARN}
_WORDS = {"done": "passes", "refused": "gates fail", "not begun": "not begun"}


def ending_of(item: TriedCombination) -> str:
    """Return how it went: done, refused, failed, interrupted, or not begun."""
    return ending(item.result) if item.result else "not begun"


def text(found: Sweep) -> str:
    """Return a line for each combination, then the best one and how it is kept."""
    shown = found.combinations[:_ROWS]
    names = [name.rpartition(".")[2] for name in found.axes]
    if len(set(names)) < len(names):
        names = list(found.axes)
    head = [*map(one_line, names), found.metric or "metric", "", "gates", "steps", "trial"]
    rows = [[Tone.FAINT(cell) for cell in head], *(_row(found, item) for item in shown)]
    lines = columns(rows, right=frozenset(range(len(names) + 1)))
    more = len(found.combinations) - len(shown)
    lines += [Tone.FAINT(f"and {plural(more, 'more combination')}: --json, or custody runs")] if more > 0 else []
    return "\n".join([_header(found), "", *lines, "", *_end(found)])


def settings_line(item: TriedCombination) -> str:
    """Return the settings as options that can be pasted."""
    return " ".join(f"--set {shlex.quote(one_line(setting))}" for setting in item.settings)


def to_json(found: Sweep, exit_code: int) -> dict[str, Any]:
    """Return the same facts, and all metrics of each combination."""
    best = found.best
    return {
        "format_version": FORMAT_VERSION,
        "model": found.model,
        "tree": found.tried.tree,
        "branch": found.tried.branch,
        "recorded_on": found.branch,
        "metric": found.metric,
        "varies": list(found.axes),
        "sample": found.sample,
        "sampler": found.sampler if found.sample is not None else None,
        "seed": found.seed if found.sample is not None else None,
        "exit_code": exit_code,
        "cancelled": found.cancelled,
        "best": list(best.settings) if best else None,
        "combinations": [_json(item) for item in found.combinations],
    }


def _header(found: Sweep) -> str:
    by = "" if found.sampler == "random" else f" by {found.sampler}"
    drawn = f", drawn{by} with seed {found.seed}" if found.sample is not None else ""
    how = f"{plural(len(found.combinations), 'combination')} of {', '.join(map(one_line, found.axes))}{drawn}"
    return f"{Tone.STRONG(one_line(found.model))}  {how}"


def _row(found: Sweep, item: TriedCombination) -> list[str]:
    values = dict(setting.partition("=")[::2] for setting in item.settings)
    varying = [fit(one_line(values[name]), _WIDEST) for name in found.axes]
    result, how = item.result, ending_of(item)
    run = result.run if result else None
    word = _TONES.get(how, Tone.FAINT)(_WORDS.get(how, how))
    if result is None or run is None:
        return [*varying, "", "", word, "", result.note if result else ""]
    value = run.metrics.get(found.metric or "")
    before = result.production.metrics.get(found.metric or "") if result.production else None
    change = f"({signed(value - before)})" if value is not None and before is not None else ""
    if run.failure:
        told = fit(one_line(f"{run.failure.step}: {run.failure.error}"), _NOTE)
        return [*varying, "", "", word, "", f"{run.id[:8]}  {told}"]
    work = f"{len(result.ran)} ran" if result.ran else "reused"
    name = run.id[:8] if not result.same_as.startswith("run") else result.same_as
    return [*varying, number(value), Tone.FAINT(change), word, work, name]


def _end(found: Sweep) -> Iterator[str]:
    recorded = sum(item.result is not None and item.result.recorded for item in found.combinations)
    yield (
        f"{plural(recorded, 'trial')} recorded in this clone only; nothing is promoted."
        if recorded
        else ("No trial recorded; nothing is promoted.")
    )
    left = sum(item.result is None for item in found.combinations)
    if left:
        yield Tone.WARN(f"{plural(left, 'combination')} not begun: the same command goes on, finished ones are reused")
    best = found.best
    if best is None:
        yield "No combination passes its gates."
        return
    run = best.result.run if best.result else None
    value = f", {found.metric} {number(run.metrics.get(found.metric))}" if run and found.metric else ""
    yield f"Best:     {', '.join(map(one_line, best.settings))}{value}"
    yield from columns(
        [
            ["Keep it:", f"custody try {one_line(found.model)} {settings_line(best)} --write", "(edits pipeline.yaml)"],
            ["Look at:", f"custody compare {one_line(found.model)} {run.id[:8] if run else ''}", ""],
        ]
    )


def _json(item: TriedCombination) -> dict[str, Any]:
    return {
        "settings": list(item.settings),
        "ending": ending_of(item),
        **({} if item.result is None else {"result": model_json(item.result)}),
    }
