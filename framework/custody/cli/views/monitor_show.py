"""Windows that were judged, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from custody.app.monitor_show import WatchedModel
from custody.cli.views.monitor import TONES
from custody.cli.views.text import Tone, columns, fit, one_line, plural
from custody.core.alert_words import brief
from custody.core.due import INPUTS, OUTCOMES
from custody.domain.monitoring import Health, Judged

_LAST = 30
_WIDE = 90


def overview(found: Sequence[WatchedModel]) -> str:
    """Return a line a model: what serves, how its newest windows were judged, what is open."""
    if not found:
        return "Nothing is monitored: no model declares monitors.yaml"
    head = [Tone.FAINT(name) for name in ("model", "serves", "every", "inputs", "outcomes", "open")]
    return "\n".join(columns([head, *(_overview(item) for item in found)]))


def windows(item: WatchedModel, *, every: bool) -> str:
    """Return a line a window of a model, newest last; the last thirty, or `every` one."""
    serves = f"{item.serves} serves" if item.serves else "nothing serves"
    lines = [f"{Tone.STRONG(one_line(item.model))}  {serves}  {one_line(item.owner)}".rstrip()]
    shown = item.windows if every else item.windows[-_LAST:]
    lines += columns([row for judged in shown for row in _rows(judged)])
    if len(shown) < len(item.windows):
        lines.append(
            Tone.FAINT(f"{plural(len(item.windows) - len(shown), 'window')} before: custody monitor show --all")
        )
    if not item.windows:
        lines.append("no window was judged yet: custody monitor")
    lines += [f"open incident {incident.id} since {incident.opened}" for incident in item.incidents]
    return "\n".join(lines)


def to_json(item: WatchedModel) -> dict[str, Any]:
    """Return the same facts."""
    return {
        "model": item.model,
        "owner": item.owner,
        "every": str(item.monitors.every) if item.monitors else None,
        "serves": item.serves,
        "windows": [judged.to_dict() for judged in item.windows],
        "incidents": [incident.to_dict() for incident in item.incidents],
    }


def _overview(item: WatchedModel) -> list[str]:
    every = str(item.monitors.every) if item.monitors else "off"
    kinds = [_last(item.last(what)) for what in (INPUTS, OUTCOMES)]
    open_ = ", ".join(incident.id for incident in item.incidents)
    return [Tone.STRONG(one_line(item.model)), item.serves or "-", every, *kinds, open_ or "-"]


def _last(judged: Judged | None) -> str:
    return f"{judged.window.name} {_health(judged)}" if judged else "-"


def _health(judged: Judged) -> str:
    return TONES.get(judged.health, Tone.FAINT)(str(judged.health))


def _rows(judged: Judged) -> Iterator[tuple[str, str, str, str, str]]:
    revised = f" r{judged.revision}" if judged.revision > 1 else ""
    head = (f"  {judged.window.name}{revised}", judged.what, f"{judged.rows:,} rows", _health(judged))
    told = [brief(signal) for signal in judged.signals] or [_measured(judged)]
    yield (*head, one_line(fit(told[0], _WIDE)))
    yield from (("", "", "", "", one_line(fit(words, _WIDE))) for words in told[1:])


def _measured(judged: Judged) -> str:
    """Return what outcomes gave, or why nothing is said."""
    measured = [
        f"{name} {value:.3g} ({low:.3g} to {high:.3g})" for name, (value, low, high, _) in judged.measures.items()
    ]
    if measured or judged.health is Health.OK or not judged.notes:
        return ", ".join(measured)
    return judged.notes[-1]
