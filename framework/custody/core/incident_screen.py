"""The screen of an incident: what is to be known at three in the morning, in 25 lines of 80 columns. Pure.

It is made from the record alone, so that a message, the command and a clone without network say the same.
"""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from custody.core.alert_words import about, brief, day_of
from custody.core.recording import line_of
from custody.core.suspects import INPUTS, OUTCOMES, RUN, stream_of
from custody.domain.incident import Flag, Incident
from custody.domain.monitoring import Signal

WIDTH, HEIGHT = 80, 25
_LABEL = 11
_SIGNALS, _REASONS, _RUNBOOK, _DONE = 4, 3, 3, 2
_MEANINGS = {
    RUN: "training failed; what is in production stays as it is",
    "bias": "level shift: outcomes lie beside what the model learnt",
    "outcome": "the model is worse on fresh outcomes than it was when judged",
    "outcomes_missing": "outcomes do not arrive: nothing says whether the model is right",
    "prediction": "the model says other things than on the data that it learnt from",
    "drift": "inputs moved; no outcome says by now that it hurts",
    "estimate": "an estimate without labels; wait for outcomes",
}
_BROKEN = "broken data: mend the source first; a model must not learn from it"


def screen(incident: Incident, acknowledged: Flag | None = None) -> tuple[str, ...]:
    """Return the lines of the screen; `acknowledged` is the acknowledgement that holds, if any."""
    title = f"{_state(incident)} {about(incident)}, {_span(incident)}"
    above = [_fit(line_of(title)), *_lines(_rows(incident, acknowledged))]
    below = _lines(_past(incident))
    commands = _commands(incident)
    runbook = _runbook(incident, HEIGHT - len(above) - len(below) - len(commands))
    # nothing of a command is ever cut, and neither are they: what is told of the past gives way
    return (*[*above, *runbook, *below][: HEIGHT - len(commands)], *commands)


def meaning(incident: Incident) -> str:
    """Return what the suspect means in words."""
    if not incident.signals:
        return "nothing is known of its cause"
    suspect = incident.signals[0]
    words = _MEANINGS.get(suspect.monitor, _BROKEN)
    in_band = all(stream_of(signal) == OUTCOMES for signal in incident.signals)
    return f"{words}; inputs are in band" if suspect.monitor == "bias" and in_band else words


def measured(signal: Signal) -> str:
    """Return a signal in short with its interval and the rows behind it."""
    parts = [f"{signal.interval[0]:.3g} to {signal.interval[1]:.3g}"] if signal.interval else []
    parts += [f"n {signal.n:,}"] if signal.n is not None else []
    parts += [f"against {signal.against}"] if signal.against else []
    return brief(signal) + (f" ({', '.join(parts)})" if parts else "")


def times(pages: int) -> str:
    """Return how often an incident paged, in words."""
    return {0: "never paged", 1: "paged once", 2: "paged twice"}.get(pages, f"paged {pages} times")


def rollback(incident: Incident) -> str:
    """Return the command that takes the model back; empty where there is no version before."""
    model, previous = incident.models[0], incident.facts.get("previous")
    return f'custody rollback {model} --now --reason "incident {incident.id}"' if previous else ""


def retrain(incident: Incident) -> str:
    """Return the command that trains the models anew."""
    again = " ".join(f"--replace {model}:train" for model in incident.models)
    return f'custody apply {again} --reason "incident {incident.id}"'


def _rows(incident: Incident, acknowledged: Flag | None) -> Iterable[tuple[str, Sequence[str]]]:
    """Yield what is wrong, whose it is, what it means, and what may be behind it."""
    facts = incident.facts
    serving = f"{facts['stage']} {facts['version']}, run {str(facts['run'])[:8]}" if "version" in facts else ""
    told = f"revision {incident.revision}, {times(incident.pages)}"
    yield "incident", (f"{incident.id}, last bad {incident.last}, {told}",)
    yield "owner", (f"{facts.get('owner', 'unknown')}{f'; serves {serving}' if serving else ''}",)
    if acknowledged:
        until = f" until {day_of(acknowledged.until)}" if acknowledged.until else ""
        yield "taken by", (f"{acknowledged.by}{until}: {acknowledged.reason}",)
    more = len(incident.signals) - _SIGNALS
    shown = [measured(signal) for signal in incident.signals[:_SIGNALS]]
    yield "signals", (*shown, *((f"and {more} more",) if more > 0 else ()))
    yield "means", (meaning(incident), *([incident.signals[0].text] if incident.signals else []))
    yield "suspect", _suspects(incident)


def _past(incident: Incident) -> Iterable[tuple[str, Sequence[str]]]:
    """Yield what did not change, what was well last, what is touched, and what was done by itself."""
    facts = incident.facts
    if facts.get("same"):
        yield "unchanged", ("; ".join(facts["same"]),)
    good: Any = facts.get("good")
    yield (
        "last good",
        (f"{good['window']} with {good['version'] or str(good['run'])[:8]}" if good else "none is known",),
    )
    rows = facts.get("predictions", {}).get("rows", 0)
    yield "touched", (f"{rows:,} predictions since {incident.opened}",)
    done = [*facts.get("done", ()), *(f"withheld: {line}" for line in facts.get("withheld", ()))]
    if done:
        yield "done", done[:_DONE]


def _suspects(incident: Incident) -> tuple[str, ...]:
    facts = incident.facts
    upstream: Any = facts.get("upstream")
    lines = list(facts.get("changed", ()))[:_REASONS]
    if upstream and incident.signals and stream_of(incident.signals[0]) == INPUTS:
        lines.insert(0, f"what feeds {upstream['dataset']}, owned by {upstream['owner']}")
    if incident.signals and incident.signals[0].monitor == RUN:
        lines.append(f"that run: custody log {incident.models[0]}")
    columns = list(dict.fromkeys(signal.column for signal in incident.signals if signal.column))
    lines += [f"columns {', '.join(columns)}"] if columns else []
    return tuple(lines) or ("nothing that is recorded changed: look at what the model is about",)


def _commands(incident: Incident) -> list[str]:
    """Return what can be pasted, each line whole."""
    commands = [f"{back}   # to {incident.facts['previous']}"] if (back := rollback(incident)) else []
    commands += [retrain(incident)]
    if incident.firing:
        commands += [f"custody ack {incident.id}"]
        commands += [f'custody silence {_pattern(incident)} --until 7d --reason "known"']
    commands += [f"git log -p mlops/ledger -- incidents/{incident.id}.json"]
    return ["then:", *(line for command in commands for line in _pasted(command))]


def _pasted(command: str) -> list[str]:
    """Return a command, over several lines of a shell where it is longer than the screen is wide."""
    if len(command) + 2 <= WIDTH:
        return [f"  {command}"]
    return ("  " + " \\\n    --".join(command.split(" --"))).split("\n")


def _pattern(incident: Incident) -> str:
    parts = [incident.models[0], *(signal.key for signal in incident.signals[:1])]
    return shlex.quote(line_of("|".join(parts)))


def _runbook(incident: Incident, room: int) -> list[str]:
    """Return where the runbook is, and as much of its beginning as there is room for."""
    runbook: Any = incident.facts.get("runbook")
    if not runbook:
        return []
    where = _row("runbook", (f"{runbook['path']} at {str(runbook['commit'])[:7]}",))
    text = list(runbook.get("text", ()))[: max(0, min(_RUNBOOK, room - len(where)))]
    return [*where, *(_fit(" " * _LABEL + line_of(str(line))) for line in text)]


def _state(incident: Incident) -> str:
    return str(incident.level).upper() if incident.firing else "RESOLVED"


def _span(incident: Incident) -> str:
    return f"since {incident.opened}" if incident.firing else f"{incident.opened} to {incident.last}"


def _lines(rows: Iterable[tuple[str, Sequence[str]]]) -> list[str]:
    return [line for label, parts in rows for line in _row(label, parts)]


def _row(label: str, parts: Sequence[str]) -> list[str]:
    """Return one fact, each part on lines of its own, two at most."""
    lines = []
    for part in parts:
        lines += textwrap.wrap(line_of(str(part)), WIDTH - _LABEL, max_lines=2, placeholder=" …")
    return [(label if number == 0 else "").ljust(_LABEL) + line for number, line in enumerate(lines)]


def _fit(line: str) -> str:
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"
