"""What an apply did: a table of models with what was measured, failures with their step and error, what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from custody.app.apply_result import Applied, AppliedModel
from custody.cli.views.plan import FORMAT_VERSION, move_json
from custody.cli.views.text import Tone, columns, duration, fit, one_line, plural
from custody.core.recording import gate_line
from custody.domain.graph import StepStatus
from custody.domain.plan import Category
from custody.domain.record import Run, RunStatus

_METRICS = 2
_WARNINGS = 3
_HEAD = ("", "model", "what", "result", "metrics", "gates", "now", "run")


class Ending(Enum):
    """How it went for one model; the exit code hangs on it."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    SKIPPED = "skipped"


_SIGNS = {
    Ending.DONE: Tone.GOOD("✓"),
    Ending.REFUSED: Tone.WARN("!"),
    Ending.FAILED: Tone.BAD("✗"),
    Ending.INTERRUPTED: Tone.WARN("-"),
    Ending.SKIPPED: Tone.WARN("-"),
}


def ending(item: AppliedModel) -> Ending:
    """Return how it went for a model: a refusal is of a gate or of a rule, a failure of a step."""
    if item.skipped:
        return Ending.SKIPPED
    if item.category is Category.BLOCKED:
        return Ending.REFUSED
    match item.run_status:
        case RunStatus.BLOCKED | RunStatus.REJECTED:
            return Ending.REFUSED
        case RunStatus.FAILED | RunStatus.CRASHED:
            return Ending.FAILED
        case RunStatus.INTERRUPTED:
            return Ending.INTERRUPTED
        case _:
            return Ending.DONE


def text(applied: Applied) -> str:
    """Return the table, what failed and why, the totals, where to look and how to undo."""
    parts = [_table(applied), _data(applied), _warnings(applied), _failures(applied), _totals(applied)]
    parts += [_incidents(applied), sharing(applied), _next(applied)]
    return "\n\n".join(part for part in parts if part)


def to_json(applied: Applied, exit_code: int) -> dict[str, Any]:
    """Return the same facts as the text."""
    return {
        "format_version": FORMAT_VERSION,
        "plan_id": applied.plan.id,
        "spec_commit": applied.plan.spec_commit,
        "ledger_head": applied.ledger_head,
        "exit_code": exit_code,
        "cancelled": applied.cancelled,
        "seconds": applied.seconds,
        "data": list(applied.data),
        "models": [_model_json(item) for item in applied.models],
        "pending": list(applied.pending),
        "undecided": list(applied.undecided),
        "unshared_reason": applied.unshared_reason,
        "share_note": applied.share_note,
        "left_out": list(applied.left_out),
        "incidents": [item.to_dict() for item in applied.incidents],
    }


def metrics_text(run: Run | None, most: int = _METRICS) -> str:
    """Return the metrics that gates name first, then others, at most `most` of them."""
    if run is None:
        return ""
    judged = [name for name in run.limits.get("metrics", {}) if name in run.metrics]
    names = dict.fromkeys([*judged, *run.metrics])
    return ", ".join(f"{one_line(name)} {number(run.metrics[name])}" for name in list(names)[:most])


def number(value: float | None) -> str:
    """Return a metric as a table shows it."""
    return "none" if value is None else f"{value:.4g}"


def _incidents(applied: Applied) -> str:
    if not applied.incidents:
        return ""
    from custody.cli.views.incident import changed

    return changed(applied.incidents)


def _table(applied: Applied) -> str:
    if not applied.models:
        return ""
    rows = [[Tone.FAINT(cell) for cell in _HEAD], *(_row(item) for item in applied.models)]
    return "\n".join(columns(rows))


def _row(item: AppliedModel) -> list[str]:
    run = item.run
    gates = run.verdict.count if run and run.verdict and run.verdict.gates else ""
    return [
        _SIGNS[ending(item)],
        one_line(item.model),
        item.category.word,
        _result(item),
        metrics_text(run),
        gates,
        _now(item),
        run.id[:8] if run else "",
    ]


def _result(item: AppliedModel) -> str:
    if item.skipped:
        return "skipped"
    if item.category is Category.BLOCKED or item.run_status is RunStatus.BLOCKED:
        return "refused"
    match item.run_status:
        case RunStatus.PASSED:
            return "passed"
        case RunStatus.REJECTED:
            return "gates failed"
        case None:
            return "done"
        case status:
            return str(status)


def _now(item: AppliedModel) -> str:
    stages = [
        f"{one_line(move.stage)} → {'nothing' if move.cleared else move.version or item.registered or '?'}"
        for move in item.promoted
    ]
    return ", ".join(stages) or (item.registered or "")


def _data(applied: Applied) -> str:
    return f"Recorded data: {', '.join(one_line(name) for name in applied.data)}." if applied.data else ""


def warnings_of(item: AppliedModel) -> list[str]:
    """Return what the steps that ran warn of, as `step: warning`."""
    steps = item.run.steps if item.run else {}
    return [
        f"{one_line(name)}: {one_line(str(warning))}"
        for name, step in steps.items()
        if name in item.ran and step.output
        for warning in step.output.facts.get("warnings", ())
    ]


def _warnings(applied: Applied) -> str:
    lines = []
    for item in applied.models:
        found = warnings_of(item)
        lines += [f"{Tone.WARN('warning')}: {one_line(item.model)} {line}" for line in found[:_WARNINGS]]
        if len(found) > _WARNINGS:
            lines.append(f"         and {len(found) - _WARNINGS} more: custody show {one_line(item.model)} --json")
    return "\n".join(lines)


def _failures(applied: Applied) -> str:
    return "\n".join(line for item in applied.models for line in _trouble(item))


def _trouble(item: AppliedModel) -> Iterator[str]:
    run, model = item.run, one_line(item.model)
    if run and run.failure:
        failure = run.failure
        step = run.steps.get(failure.step)
        after = f", after {duration(step.seconds)}" if step and step.seconds else ""
        yield f"{Tone.BAD(model)}  step {one_line(failure.step)}{after}: {fit(one_line(failure.error), 300)}"
        if failure.log:
            yield f"{' ' * len(model)}  log: custody show {run.id[:8]} --log"
    elif run and run.verdict and not run.verdict.passed and item.run_status is RunStatus.REJECTED:
        for gate in run.verdict.gates:
            if not gate.passed:
                yield f"{Tone.WARN(model)}  gate {one_line(gate_line(gate))}"
    if item.note and not (run and run.failure and run.failure.error == item.note):
        yield f"{model}  {one_line(item.note)}"


def _totals(applied: Applied) -> str:
    counts = {kind: sum(ending(item) is kind for item in applied.models) for kind in Ending}
    steps = [step for item in applied.models for step in item.ran]
    reused = sum(len(item.reused) for item in applied.models)
    parts = [f"{count} {kind.value}" for kind, count in counts.items() if count] or ["nothing to do"]
    work = f"{plural(len(steps), 'step')} ran, {reused} reused" if steps or reused else "no step ran"
    ledger = f" · ledger {applied.ledger_head[:7]}" if applied.ledger_head else ""
    return f"Plan {applied.plan.id[:7]}: {', '.join(parts)} in {duration(applied.seconds)} · {work}{ledger}"


def sharing(applied: Applied) -> str:
    """Return what is here only, what was not decided, why, and the one command; empty where all is shared."""
    if not applied.unshared_reason:
        note = one_line(applied.share_note)
        said = [f"{Tone.WARN('warning')}: {note}; the records have landed"] if note else []
        return "\n".join([*said, *map(one_line, applied.left_out)])
    lines = [f"{Tone.WARN('Not yet shared')}: {one_line(applied.unshared_reason)}"]
    lines += [f"  recorded here: {one_line(item)}" for item in applied.pending]
    lines += [f"  not done: {one_line(item)}" for item in applied.undecided]
    lines += [f"  {one_line(item)}" for item in applied.left_out]
    again = "custody apply" if applied.undecided else "custody sync"
    lines.append(f"Nothing is lost while this clone is kept: run {again} again.")
    return "\n".join(lines)


def _next(applied: Applied) -> str:
    done = [item for item in applied.models if ending(item) is Ending.DONE]
    failed = any(ending(item) in {Ending.FAILED, Ending.INTERRUPTED} for item in applied.models)
    rows = [["Again:", "custody apply", "(finished steps are reused)"]] if failed else []
    if done:
        rows.append(["Look at:", f"custody trace {one_line(done[0].model)}", "(the chain of custody)"])
        rows.append(["", "custody log", "(all records, newest first)"])
    moved = next((item for item in done if any(move.before for move in item.promoted)), None)
    if moved and applied.plan.spec_commit:
        undo = f"git revert {applied.plan.spec_commit[:7]} && custody apply"
        rows.append(["Undo:", undo, "(the earlier run is found again, nothing trains)"])
        rows.append(["", f"custody trace {one_line(moved.model)}", "(who changed what, if it was another commit)"])
    return "\n".join(columns(rows))


def _model_json(item: AppliedModel) -> dict[str, Any]:
    run = item.run
    return {
        "model": item.model,
        "category": item.category.word,
        "ending": ending(item).value,
        "status": str(item.run_status) if item.run_status else None,
        "run": run.id if run else None,
        "commit": item.commit,
        "version": item.registered,
        "moves": [move_json(move) for move in item.promoted],
        "metrics": dict(run.metrics) if run else {},
        "verdict": run.verdict.to_dict() if run and run.verdict else None,
        "failure": run.failure.to_dict() if run and run.failure else None,
        "artifact": run.artifact if run else None,
        "note": item.note,
        "warnings": warnings_of(item),
        "ran": list(item.ran),
        "reused": list(item.reused),
        "seconds": _seconds(run),
    }


def _seconds(run: Run | None) -> Mapping[str, float]:
    steps = run.steps.items() if run else ()
    return {name: step.seconds for name, step in steps if step.seconds is not None and step.status is StepStatus.DONE}
