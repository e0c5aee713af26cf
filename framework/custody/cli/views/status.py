"""Declared, recorded and live side by side: one row a stage, then why those differ that do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from custody.app.status import Left, Live, ModelStatus, Status
from custody.cli.views.apply import metrics_text
from custody.cli.views.log import entry_json, when
from custody.cli.views.plan import change_json, reason_text
from custody.cli.views.text import Tone, columns, fit, one_line, width
from custody.core.deployments import Standing
from custody.domain.plan import Category
from custody.domain.record import Headline

_HEAD = ("model", "state", "stage", "declared", "recorded", "live", "data", "last change")
_LIVE, _DATA, _LAST = 5, 6, 7
_DAY, _HOUR = 86_400, 3_600
_DATED = 17
"""Characters of a time, as far as it is shown where there is little room."""


def text(status: Status, *, room: int = 120, detailed: bool = False) -> str:
    """Return the table, then one line for each model that is not in sync or whose last run did not pass.

    It has at most `room` columns, as far as names allow. Where models were named (`detailed`), what served before them
    is listed too; else names that were given up are left out.
    """
    if not status.models:
        return "No model is declared or recorded. custody new MODEL writes the first."
    shown = [item for item in status.models if detailed or not item.renamed]
    lines = _table([row for item in shown for row in _rows(item)], room)
    remarks = [line for item in shown for line in _remarks(item)]
    if status.problem:
        remarks.insert(0, f"The specs cannot be compared: {one_line(status.problem)} (custody check)")
    lines += ["", *remarks] if remarks else []
    for item in status.models if detailed else ():
        lines += _details(item)
    return "\n".join(lines)


def sync(item: ModelStatus) -> str:
    """Return `in sync`, or the word of what apply would do."""
    if item.renamed:
        return "renamed"
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


def age(seconds: float | None) -> str:
    """Return an age as `3 h` or `12 d`; empty where it is not known."""
    if seconds is None:
        return ""
    return f"{int(seconds // _DAY)} d" if seconds >= _DAY else f"{int(seconds // _HOUR)} h"


def _table(rows: Sequence[Sequence[str]], room: int) -> list[str]:
    """Return the rows with as many columns as fit; what nobody uses is left out, then what matters least."""
    kept = [index for index in range(len(_HEAD)) if index != _LIVE or any(row[_LIVE] for row in rows)]
    head = [Tone.FAINT(cell) for cell in _HEAD]
    for without in ((), (_DATA,), (_DATA, _LAST)):
        shown = [index for index in kept if index not in without]
        lines = columns([[row[index] or ("" if index == 0 else "-") for index in shown] for row in (head, *rows)])
        if _LAST in shown:
            lines = _last_cut(head, rows, shown, lines, room)
        if max(map(width, lines)) <= room:
            break
    return lines


def _last_cut(
    head: Sequence[str], rows: Sequence[Sequence[str]], shown: list[int], lines: list[str], room: int
) -> list[str]:
    """Return the lines with the last changes cut to the room that is left, down to when they were."""
    longest = max(len(row[_LAST]) for row in rows)
    over = max(map(width, lines)) - room
    if over <= 0:
        return lines
    length = max(_DATED, longest - over)
    cut = [[fit(row[i], length) if i == _LAST else row[i] for i in range(len(row))] for row in rows]
    return columns([[row[index] or ("" if index == 0 else "-") for index in shown] for row in (head, *cut)])


def _rows(item: ModelStatus) -> Iterator[list[str]]:
    word = sync(item)
    tone = Tone.GOOD if word == "in sync" else Tone.WARN
    run = item.serving
    data = f"{run.data.get('dataset')}@{run.data.get('version')}" if run and run.data else ""
    old = age(item.data_age)
    last = f"{when(item.last.at)} {_name(item.last)}: {one_line(item.last.subject)}" if item.last else "never run"
    about = [f"{one_line(data)} {old}".strip(), last]
    stages = list(dict.fromkeys((*item.pinned, *item.stages, *(live.item.stage for live in item.live))))
    if not stages:
        yield [one_line(item.model), tone(word), "", "", "", "", *about]
    held = {hold.stage for hold in item.holds}
    for number, stage in enumerate(stages):
        pointer = item.stages.get(stage)
        version = f"{pointer.version}{' (held)' if stage in held else ''}" if pointer else ""
        live = ", ".join(_live(one) for one in item.live if one.item.stage == stage)
        first = [one_line(item.model), tone(word)] if number == 0 else ["", " "]
        rest = about if number == 0 else [" ", " "]
        yield [*first, one_line(stage), one_line(item.pinned.get(stage, "")), version, live, *rest]


def _live(live: Live) -> str:
    stands = "" if live.standing is Standing.CURRENT else f" ({live.standing})"
    return f"{one_line(live.item.where)} {live.item.version}{stands}"


def _name(last: Headline) -> str:
    return one_line(last.who.partition(" <")[0])


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
    if item.renamed:
        yield f"{name}: it is {one_line(item.renamed)} now"
    elif item.retired and item.last and item.change is None:
        yield f"{name}: retired on {when(item.last.at)} by {_name(item.last)} (custody log {name})"


def _details(item: ModelStatus) -> Iterator[str]:
    run = item.serving
    facts = [("metrics", metrics_text(run, 3))] if run and run.metrics else []
    facts += [("gates", run.verdict.count)] if run and run.verdict and run.verdict.gates else []
    facts += [("data", f"{when(item.data_at)}, {age(item.data_age)} old")] if item.data_at else []
    facts += [("was", ", ".join(map(one_line, item.was)))] if item.was else []
    for stage, pointer in item.stages.items():
        facts.append((stage, f"{pointer.version} since {when(pointer.at)}, record {pointer.record[:8]}"))
    for live in item.live:
        told = f" ({one_line(live.item.remark)})" if live.item.remark else ""
        by = one_line(live.item.by.partition(" <")[0])
        facts.append(("live", f"{_live(live)}: {live.item.stage}, said by {by} on {when(live.item.at)}{told}"))
    facts += [("before", _left(left)) for left in item.left]
    if facts:
        yield from ("", Tone.STRONG(one_line(item.model)))
    yield from (f"  {line}" for line in columns([[Tone.FAINT(one_line(name)), words] for name, words in facts]))


def _left(left: Left) -> str:
    gone = left.departure
    to = f"replaced by {left.replaced_by or gone.replaced_by[:8]}" if gone.replaced_by else "replaced by nothing"
    served = f"{one_line(gone.stage)} {left.version or gone.run[:8]} from {when(gone.since)} to {when(gone.until)}"
    return f"{served}, {to} by {_name(gone.by)}: {one_line(gone.by.subject)}"


def _model_json(item: ModelStatus) -> dict[str, Any]:
    run = item.serving
    return {
        "model": item.model,
        "declared": item.declared,
        "retired": item.retired,
        "renamed": item.renamed,
        "was": list(item.was),
        "sync": sync(item),
        "change": change_json(item.change) if item.change else None,
        "pinned": dict(item.pinned),
        "stages": {
            stage: {"version": pointer.version, "run": pointer.run, "since": pointer.at, "record": pointer.record}
            for stage, pointer in item.stages.items()
        },
        "live": [_live_json(live) for live in item.live],
        "left": [_left_json(left) for left in item.left],
        "holds": [
            {"record": hold.record, "stage": hold.stage, "from": hold.from_, "to": hold.to}
            | {"reason": hold.reason, "by": hold.by, "at": hold.at}
            for hold in item.holds
        ],
        "versions": item.versions,
        "run": run.id if run else None,
        "status": str(run.status) if run else None,
        "data": dict(run.data) if run else None,
        "data_at": item.data_at,
        "data_age_seconds": item.data_age,
        "metrics": dict(run.metrics) if run else {},
        "gates": run.verdict.to_dict() if run and run.verdict else None,
        "last": _headline_json(item.last) if item.last else None,
        "failure": entry_json(item.failure) if item.failure else None,
    }


def _live_json(live: Live) -> dict[str, Any]:
    item = live.item
    return {
        "where": item.where,
        "stage": item.stage,
        "version": item.version,
        "run": item.run,
        "artifact": item.artifact,
        "standing": str(live.standing),
        "by": item.by,
        "at": item.at,
        "note": item.remark,
        "record": item.record,
    }


def _left_json(left: Left) -> dict[str, Any]:
    gone = left.departure
    return {
        "stage": gone.stage,
        "version": left.version,
        "run": gone.run,
        "since": gone.since,
        "until": gone.until,
        "replaced_by": left.replaced_by,
        "replaced_by_run": gone.replaced_by,
        "by": gone.by.who,
        "record": gone.by.id,
        "subject": gone.by.subject,
    }


def _headline_json(last: Headline) -> dict[str, Any]:
    return {
        "commit": last.commit,
        "record": last.id,
        "kind": last.kind,
        "subject": last.subject,
        "by": last.who,
        "at": last.at,
    }
