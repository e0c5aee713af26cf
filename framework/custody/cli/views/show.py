"""One run with everything that is recorded of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from custody.app.records import Recorded
from custody.cli.views.apply import number
from custody.cli.views.log import entry_json, when
from custody.cli.views.text import Tone, columns, duration, fit, one_line
from custody.core.recording import gate_line
from custody.domain.graph import StepRecord
from custody.domain.record import Run

_MEBI = 1 << 20


def text(found: Recorded) -> str:
    """Return the run: what it is, why it was, what went in, what came out, and its records."""
    run = found.run
    parts = ["\n".join(columns(list(_facts(found))))]
    parts += [_section(name, rows) for name, rows in _sections(run) if rows]
    parts.append(
        _section("records", [[item.commit[:9], when(item.at), one_line(item.subject)] for item in found.history])
    )
    parts.append(Tone.FAINT(f"git show {found.holder.commit[:12]}:models/{one_line(run.model)}/run.json"))
    return "\n\n".join(parts)


def to_json(found: Recorded) -> dict[str, Any]:
    """Return the run as recorded, with where it stands now and its records."""
    return {
        **found.run.to_dict(),
        "version": found.version,
        "stages": list(found.stages),
        "commit": found.entry.commit,
        "records": [entry_json(entry) for entry in found.history],
    }


def _facts(found: Recorded) -> Iterator[list[str]]:
    run = found.run
    yield ["run", Tone.STRONG(run.id)]
    yield ["model", one_line(run.model) + (f" {found.version}" if found.version else "")]
    yield ["status", str(run.status) + (f", in {', '.join(found.stages)}" if found.stages else "")]
    if run.category:
        yield ["category", one_line(run.category)]
    yield ["code", one_line(run.code or "none")]
    if run.data:
        name = f"{run.data.get('dataset')}@{run.data.get('version')}"
        yield ["data", one_line(f"{name} sha256:{run.data.get('logical')}")]
    if run.artifact:
        yield ["artifact", f"sha256:{one_line(run.artifact)}"]
    if run.seed is not None:
        yield ["seed", str(run.seed)]
    yield ["ran", one_line(f"{run.actor or found.entry.author}, {run.started or '?'} to {run.finished or '?'}")]
    if run.plan:
        yield ["plan", one_line(run.plan)]
    if run.failure:
        yield ["failed", Tone.BAD(f"{one_line(run.failure.step)}: {one_line(run.failure.error)}")]


def _sections(run: Run) -> Iterator[tuple[str, list[list[str]]]]:
    yield "why", [[one_line(_reason(reason))] for reason in run.reasons]
    yield "parameters", [[one_line(name), _value(value)] for name, value in run.params.items()]
    yield "metrics", [[one_line(name), number(value)] for name, value in run.metrics.items()]
    yield "slices", list(_slices(run))
    yield "gates", [[one_line(gate_line(gate))] for gate in run.verdict.gates] if run.verdict else []
    yield "steps", [_step(step) for step in run.steps.values()]
    yield "environment", [[one_line(name), _value(value)] for name, value in run.environment.items()]
    yield "own code", [[one_line(path), blob[:12]] for path, blob in run.closure.items() if blob]


def _slices(run: Run) -> Iterator[list[str]]:
    evaluate = run.steps.get("evaluate")
    facts = evaluate.output.facts if evaluate and evaluate.output else {}
    for column, groups in facts.get("slices", {}).items():
        for group, metrics in groups.items():
            shown = ", ".join(f"{name} {_value(value)}" for name, value in metrics.items())
            yield [f"{one_line(str(column))} = {one_line(str(group))}", shown]


def _step(step: StepRecord) -> list[str]:
    cost = [duration(step.seconds)] if step.seconds is not None else []
    cost += [f"{step.cpu:.1f} s CPU"] if step.cpu is not None else []
    cost += [f"{step.memory / _MEBI:,.0f} MiB"] if step.memory is not None else []
    origin = f"from run {step.source[:8]}" if step.source else ", ".join(cost)
    made = f"{step.output.ref.kind} {step.output.ref.object[:12]}" if step.output else one_line(step.error or "")
    return [one_line(step.step), str(step.status), origin, made]


def _section(name: str, rows: list[list[str]]) -> str:
    return "\n".join([f"{name}:", *(f"  {line}" for line in columns(rows))])


def _reason(reason: Mapping[str, Any]) -> str:
    words = f"{reason.get('code')} {reason.get('subject', '')}"
    if reason.get("before") is not None or reason.get("after") is not None:
        words += f" {_value(reason.get('before'))} → {_value(reason.get('after'))}"
    return words + (f" ({reason['note']})" if reason.get("note") else "")


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return fit(one_line(shown), 100)
