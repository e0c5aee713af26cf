"""Declared beside recorded: one row a model, then why those differ that do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from custody.app.status import ModelStatus, Status
from custody.cli.views.apply import metrics_text
from custody.cli.views.log import entry_json, when
from custody.cli.views.plan import change_json, reason_text
from custody.cli.views.text import Tone, columns, fit, one_line
from custody.domain.plan import Category

_HEAD = ("model", "declared · recorded", "now", "since", "data", "metrics", "gates", "last change")


def text(status: Status) -> str:
    """Return the table, then one line for each model that is not in sync or whose last run did not pass."""
    if not status.models:
        return "No model is declared or recorded. custody new MODEL writes the first."
    lines = columns([[Tone.FAINT(cell) for cell in _HEAD], *(_row(item) for item in status.models)])
    remarks = [line for item in status.models for line in _remarks(item)]
    if status.problem:
        remarks.insert(0, f"The specs cannot be compared: {one_line(status.problem)} (custody check)")
    return "\n".join([*lines, *([""] if remarks else []), *remarks])


def sync(item: ModelStatus) -> str:
    """Return `in sync`, or the word of what apply would do."""
    if item.retired and item.change is None:
        return "retired"
    if item.change is None:
        return "unknown"
    return "in sync" if item.change.category is Category.NOOP else item.change.category.word


def to_json(status: Status) -> dict[str, Any]:
    """Return the same facts."""
    return {
        "ledger_head": status.ledger_head,
        "spec_commit": status.plan.spec_commit if status.plan else None,
        "problem": status.problem or None,
        "models": [_model_json(item) for item in status.models],
    }


def _row(item: ModelStatus) -> list[str]:
    run = item.serving
    word = sync(item)
    tone = Tone.GOOD if word == "in sync" else Tone.WARN
    gates = run.verdict.count if run and run.verdict and run.verdict.gates else "-"
    held = {hold.stage for hold in item.holds}
    stages = ", ".join(
        f"{one_line(stage)} {pointer.version}{' (held)' if stage in held else ''}"
        for stage, pointer in item.stages.items()
    )
    since = min((pointer.at for pointer in item.stages.values()), default="")
    data = f"{run.data.get('dataset')}@{run.data.get('version')}" if run and run.data else "-"
    last = f"{when(item.last.at)} {fit(one_line(item.last.subject), 60)}" if item.last else "never run"
    now = stages or ("retired" if item.retired else "-")
    return [
        one_line(item.model),
        tone(word),
        now,
        when(since) if since else "-",
        one_line(data),
        metrics_text(run, 1) or "-",
        gates,
        last,
    ]


def _remarks(item: ModelStatus) -> Iterator[str]:
    name = one_line(item.model)
    for hold, words in zip(item.holds, item.held, strict=True):
        release = f"custody rollback {name} --release {hold.record[:8]}"
        yield f"{Tone.WARN(name)}: {one_line(words)} ({one_line(release)})"
    if item.change and item.change.category is not Category.NOOP:
        for reason in [reason for reason in item.change.reasons if reason.code != "stage.held"][:3]:
            yield f"{Tone.STRONG(name)}: {item.change.category.word}: {reason_text(reason)}"
    for reason in item.change.annotations if item.change else ():
        yield f"{name}: ? {reason_text(reason)}"
    if item.failure:
        run = str(item.failure.trailer("Run"))[:8]
        words = f"last run {run} {item.failure.trailer('Status')} on {when(item.failure.at)}"
        cause = item.failure.trailer("Failed")
        yield f"{Tone.BAD(name)}: {one_line(words)}{': ' + one_line(cause) if cause else ''} (custody show {run})"


def _model_json(item: ModelStatus) -> dict[str, Any]:
    run = item.serving
    return {
        "model": item.model,
        "declared": item.declared,
        "retired": item.retired,
        "sync": sync(item),
        "change": change_json(item.change) if item.change else None,
        "stages": {
            stage: {"version": pointer.version, "run": pointer.run, "since": pointer.at, "record": pointer.record}
            for stage, pointer in item.stages.items()
        },
        "holds": [
            {"record": hold.record, "stage": hold.stage, "from": hold.from_, "to": hold.to}
            | {"reason": hold.reason, "by": hold.by, "at": hold.at}
            for hold in item.holds
        ],
        "versions": item.versions,
        "run": run.id if run else None,
        "status": str(run.status) if run else None,
        "data": dict(run.data) if run else None,
        "metrics": dict(run.metrics) if run else {},
        "gates": run.verdict.to_dict() if run and run.verdict else None,
        "last": entry_json(item.last) if item.last else None,
        "failure": entry_json(item.failure) if item.failure else None,
    }
