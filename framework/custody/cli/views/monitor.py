"""Sweeps of monitors as text and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from custody.app.monitored import Acted, Sweep, SweptModel
from custody.cli.views.incident import delivery_json, delivery_text
from custody.cli.views.text import Tone, columns, one_line, plural
from custody.core.alert_words import headline
from custody.domain.monitoring import Health, Judged

TONES = {Health.OK: Tone.GOOD, Health.WARN: Tone.WARN, Health.ALERT: Tone.BAD}
_ORDER = (Health.ALERT, Health.WARN, Health.NO_DATA, Health.WAITING, Health.OK)
_QUIET = frozenset({Health.OK, Health.WAITING})
_SHORT = 7


def text(sweep: Sweep) -> str:
    """Return what a sweep found: a table of the windows that are not ok, and a line a model."""
    lines: list[str] = []
    for model in sweep.models:
        lines += _model(model)
    if not sweep.models:
        lines.append("Nothing to do: no model that is due declares monitors.yaml")
    lines += [f"incident {item.id}  {one_line(headline(item))}" for item in sweep.incidents]
    if sweep.record:
        lines.append(f"recorded {sweep.record[:_SHORT]}")
    elif sweep.dry_run and sweep.judged:
        lines.append("not recorded: --dry-run")
    lines += map(_acted, sweep.acted)
    return "\n".join(lines)


def remarks(sweep: Sweep) -> Iterator[str]:
    """Yield what follows from a sweep, a text each."""
    for model in sweep.failed:
        yield f"{Tone.BAD('error')}: {one_line(model.model)}: {one_line(model.error)}"
    if sweep.shared is not None and not sweep.shared.landed:
        yield f"{Tone.WARN('not shared yet')}: {one_line(sweep.shared.reason)}"
        yield "Next: custody sync"
    for item in sweep.acted:
        if item.undo:
            yield f"undo: {one_line(item.undo)}"
    if sweep.delivery and (sweep.delivery.sent or sweep.delivery.failed or sweep.delivery.dead):
        yield delivery_text(sweep.delivery)
    alarmed = [item.model for item in sweep.models if any(one.health in _ORDER[:2] for one in item.judged)]
    if sweep.incidents:
        yield f"Next: custody incident {sweep.incidents[0].id}"
    elif alarmed:
        yield f"Next: custody monitor show {alarmed[0]}"


def _acted(item: Acted) -> str:
    if item.withheld:
        return f"{Tone.WARN('withheld')}  {one_line(f'{item.what} of {item.model}: {item.line}')}"
    return f"{Tone.GOOD('done')}  {one_line(item.line)}"


def health(model: SweptModel) -> str:
    """Return the worst health of a model's windows, `failed` or `-`."""
    if model.error:
        return "failed"
    found = {item.health for item in model.judged}
    return next((str(item) for item in _ORDER if item in found), "-")


def to_json(sweep: Sweep) -> dict[str, Any]:
    """Return the same facts."""
    return {
        "record": sweep.record,
        "dry_run": sweep.dry_run,
        "cancelled": sweep.cancelled,
        "shared": sweep.shared.landed if sweep.shared else None,
        "models": [_model_json(item) for item in sweep.models],
        "incidents": [item.to_dict() for item in sweep.incidents],
        "acted": [
            {"incident": item.incident, "model": item.model, "what": item.what, "line": item.line}
            | {"undo": item.undo or None, "withheld": item.withheld, "new": item.new}
            for item in sweep.acted
        ],
        "delivery": delivery_json(sweep.delivery) if sweep.delivery else None,
        "seconds": sweep.seconds,
    }


def _model_json(model: SweptModel) -> dict[str, Any]:
    return {
        "model": model.model,
        "health": health(model),
        "judged": [item.to_dict() for item in model.judged],
        "waiting": [item.to_dict() for item in model.waiting],
        "already": model.already,
        "error": model.error or None,
        "why": model.why or None,
        "notes": list(model.notes),
    }


def _model(model: SweptModel) -> Iterator[str]:
    name = Tone.STRONG(one_line(model.model))
    if model.error:
        yield f"{name}  {Tone.BAD('failed')}  {one_line(model.error)}"
        return
    counts = Counter(item.health for item in model.judged)
    words = [TONES.get(item, Tone.FAINT)(f"{counts[item]} {item}") for item in _ORDER if counts[item]]
    words += [f"{len(model.waiting)} waiting for outcomes"] if model.waiting else []
    words += [f"{model.already} already recorded"] if model.already else []
    total = plural(len(model.judged), "window") + " judged" if model.judged else one_line(model.why)
    yield "  ".join(part for part in (name, total, ", ".join(words)) if part)
    shown = [item for item in model.judged if item.health not in _QUIET or item is model.judged[-1]]
    yield from (f"  {line}" for line in columns([row for item in shown for row in rows(item)]))
    yield from (f"  {Tone.FAINT('note')}  {one_line(note)}" for note in model.notes)
    for item in model.waiting:
        yield f"  {item.window.name}  {Tone.FAINT(one_line('; '.join(item.notes)))}"


def rows(item: Judged) -> Iterator[tuple[str, str, str, str]]:
    """Yield a row for each signal of a window that is not ok."""
    if item.health is Health.OK:
        return
    revised = f" r{item.revision}" if item.revision > 1 else ""
    told = [one_line(signal.text) for signal in item.signals] or [one_line("; ".join(item.notes))]
    for place, words in enumerate(told):
        shown = TONES.get(item.health, Tone.FAINT)(str(item.health))
        yield (f"{item.window.name}{revised}", item.what, shown, words) if not place else ("", "", "", words)
