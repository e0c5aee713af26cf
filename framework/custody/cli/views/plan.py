"""A plan as text, one block a change, and as JSON. A plan's JSON is for reading; nothing executes it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from custody.cli.views.text import Tone, duration, fit, one_line, pad, plural, width, wrapped
from custody.domain.plan import Category, Change, Do, Estimate, Plan, PlannedStep, Reason, StageMove
from custody.domain.spec import PROFILES

FORMAT_VERSION = "1.0"
_VALUE = 60
_REASONS = 8
_FILES = 5
_DETAILS = 4
_QUIET = {Category.NOOP}
_TONES = {Category.BLOCKED: Tone.BAD, Category.HELD: Tone.WARN, Category.ROLLBACK: Tone.WARN}
_BEFORE = {
    "param.changed": "param ",
    "limit.changed": "limit ",
    "stage.changed": "stage ",
    "contract.changed": "contract of ",
    "gate.failed": "gate ",
    "forced": "step ",
    "upstream.pending": "reads ",
    "metric.added": "metric ",
}
_AFTER = {
    "run.failed": " failed",
    "run.crashed": " crashed",
    "run.interrupted": " was interrupted",
    "run.blocked": " was refused",
    "purpose.refused": " is not allowed",
    "version.edited": " was edited after it was recorded",
    "stage.unknown": " is not a registered version or run",
    "contract.changed": " changed",
    "slice.changed": " changed",
    "features.changed": " changed",
    "forced": " is run again",
    "input.missing": " is not there",
    "rename.refused": " is no rename",
    "metric.added": " added",
    "store.missing": " is lost",
    "environment.changed": " differs",
}


def text(plan: Plan, version: str) -> str:
    """Return the plan as `custody plan` prints it; `version` is custody's own."""
    if not plan.has_changes and not _shown(plan) and not plan.crashed:
        rest = [*_environment(plan), *_left_out(plan), nothing_to_do(plan)]
        return "\n".join([header(plan, version), *_dirty(plan), "", *rest])
    lines = [header(plan, version), *_dirty(plan), *_crashed(plan), "", *body(plan)]
    lines += [*_environment(plan), *profile_lines(plan)]
    unchanged = sum(change.category is Category.NOOP for change in plan.changes)
    if unchanged:
        lines.append(f"  = {plural(unchanged, 'model')} unchanged")
    lines += _left_out(plan)
    lines.append("")
    if not plan.has_changes and not plan.crashed:
        return "\n".join([*lines, nothing_to_do(plan)])
    lines.append(f"Plan {Tone.STRONG(plan.id[:7])}: {summary(plan)}.{_total(plan)}")
    lines.append(f"Next: {Tone.STRONG(_next(plan))}")
    return "\n".join(lines)


def body(plan: Plan) -> list[str]:
    """Return the lines of the dataset versions to record and of every change."""
    widths = _widths(plan)
    data = [f"  + data      {name} will be recorded" for name in plan.new_versions]
    blocks = (block(change, widths, plan.estimates.get(change.model)) for change in _shown(plan))
    return data + [line for lines in blocks for line in lines]


def header(plan: Plan, version: str) -> str:
    """Return `custody 0.1.0 · spec 9f31c2e (branch main) · ledger 41ab07c`."""
    spec = f"spec {plan.spec_commit[:7]}" if plan.spec_commit else "spec not committed yet"
    where = f" (branch {one_line(plan.branch)})" if plan.branch else " (no branch)" if plan.spec_commit else ""
    edited = " with uncommitted changes" if plan.dirty else ""
    ledger = f"ledger {plan.ledger_head[:7]}" if plan.ledger_head else "ledger empty"
    return Tone.FAINT(f"custody {version} · {spec}{where}{edited} · {ledger}")


def block(change: Change, widths: tuple[int, int] = (0, 0), estimate: Estimate | None = None) -> list[str]:
    """Return the lines of one change: sign, model, word, reasons; then steps and their time, moves and notes."""
    tone = _TONES.get(change.category, Tone.STRONG)
    model, word = one_line(change.model), change.category.word
    head = f"  {tone(change.category.sign)} {pad(model, widths[0])}  {tone(word)}{' ' * (widths[1] - len(word))}  "
    indent = " " * width(head)
    details = [*_reason_lines(change.reasons), *_work(change, estimate), *(one_line(note) for note in change.notes)]
    details += [f"? {reason_text(reason)}" for reason in change.annotations]
    first, *rest = details or [""]
    return [(head + first).rstrip(), *(indent + line for line in rest)]


def reason_text(reason: Reason, *, place: bool = True) -> str:
    """Return one reason in words: what, before → after, a note, and where it is written."""
    words = _BEFORE.get(reason.code, "") + one_line(reason.subject) + _AFTER.get(reason.code, "")
    if reason.code == "attempts.spent":
        words += f" failed {reason.after} times, the most is {reason.before}"
    elif reason.code == "environment.changed" and reason.details:
        words += f": {_listed(reason.details)}"
    elif reason.code == "gate.failed":
        words += f" not passed: {_measured(reason.after)}, limit {_measured(reason.before)}"
    elif reason.before is not None or reason.after is not None:
        words += f" {value(reason.before)} → {_after(reason)}"
    if reason.code == "code.changed" and reason.details:
        words += f" in {fit(' → '.join(one_line(path) for path in reason.details), 160)}"
    if reason.note:
        words += f" ({fit(one_line(reason.note), 160)})"
    return f"{words}  {Tone.FAINT(one_line(str(reason.place)))}" if place and reason.place else words


def _listed(details: tuple[str, ...]) -> str:
    more = f" and {len(details) - _DETAILS} more" if len(details) > _DETAILS else ""
    return ", ".join(one_line(item) for item in details[:_DETAILS]) + more


def value(item: Any) -> str:
    """Return a value of a spec as a reason shows it."""
    if item is None:
        return "nothing"
    shown = item if isinstance(item, str) and item.strip() else json.dumps(item, ensure_ascii=False, default=str)
    return fit(one_line(shown), _VALUE)


def _measured(item: Any) -> str:
    return f"{item:.6g}" if isinstance(item, float) else value(item)


def move_text(move: StageMove) -> str:
    """Return `production: run 1a2b3c4d → v4`."""
    before = f"run {move.before[:8]}" if move.before else "nothing"
    if move.cleared:
        after = "nothing"
    elif move.version:
        after = move.version
    else:
        after = f"run {move.run[:8]}" if move.run else "this run, if its gates pass"
    return f"{one_line(move.stage)}: {before} → {after}"


def estimated(estimate: Estimate) -> str:
    """Return `≈ 3 min 0 s (p90 3 min 20 s, n = 14)`."""
    return f"≈ {duration(estimate.p50)} (p90 {duration(estimate.p90)}, n = {estimate.n})"


def _total(plan: Plan) -> str:
    """Return what all steps to run take together, and how many models have no earlier run to tell by."""
    known = [plan.estimates[change.model] for change in plan.changes if change.model in plan.estimates]
    if not known:
        return ""
    unknown = sum(bool(change.active and change.to_run) for change in plan.changes) - len(known)
    rest = f", without {plural(unknown, 'model')} that never ran" if unknown else ""
    p50, p90 = sum(item.p50 for item in known), sum(item.p90 for item in known)
    return f"  Compute ≈ {duration(p50)} (p90 {duration(p90)}){rest}."


def _left_out(plan: Plan) -> list[str]:
    if not plan.left_out:
        return []
    named = ", ".join(f"{one_line(model)} ({category.word})" for model, category in plan.left_out[:_FILES])
    more = f" and {len(plan.left_out) - _FILES} more" if len(plan.left_out) > _FILES else ""
    return [f"  Left out by choice: {named}{more}."]


def summary(plan: Plan) -> str:
    """Return `1 new data version · 1 retrain · 3 unchanged`."""
    counts = Counter(change.category for change in plan.changes)
    parts = [plural(len(plan.new_versions), "new data version")] if plan.new_versions else []
    parts += [f"{counts[item]} {item.word}" for item in Category if counts[item] and item is not Category.NOOP]
    if counts[Category.NOOP]:
        parts.append(f"{counts[Category.NOOP]} unchanged")
    return " · ".join(parts) or "no models"


def nothing_to_do(plan: Plan) -> str:
    """Return the one line that says since when and by whom there is nothing to do."""
    matching = sum(change.category is Category.NOOP for change in plan.changes)
    others = [change.category.word for change in plan.changes if change.category is not Category.NOOP]
    rest = "".join(f", {count} {word}" for word, count in Counter(others).items())
    if not plan.last:
        return f"Nothing to do: {'no model is declared' if not plan.changes else f'{matching} match'}{rest}."
    verb = "matches" if matching == 1 else "match"
    last = plan.last
    facts = [
        (plan.ledger_head or "")[:7],
        f'last record "{one_line(str(last.get("subject", "")))}"',
        f"by {one_line(str(last.get('who', '?')))} on {one_line(str(last.get('when', '?')))}",
    ]
    if last.get("code"):
        facts[-1] += f", spec commit {str(last['code'])[:7]}"
    head, subject, who = facts
    return f"Nothing to do: {plural(matching, 'model')} {verb} the ledger ({head}, {subject} {who}){rest}."


def to_json(plan: Plan, version: str) -> dict[str, Any]:
    """Return the plan with the same facts as the text; within one major format only fields are added."""
    counts = Counter(change.category.word for change in plan.changes)
    return {
        "format_version": FORMAT_VERSION,
        "plan_id": plan.id,
        "tool": version,
        "spec_commit": plan.spec_commit,
        "branch": plan.branch,
        "ledger_head": plan.ledger_head,
        "has_changes": plan.has_changes,
        "summary": dict(counts),
        "complete": not plan.left_out,
        "left_out": {model: category.word for model, category in plan.left_out},
        "changes": [change_json(change, plan.estimates.get(change.model)) for change in plan.changes],
        "profile_edits": profile_edits(plan),
        "new_versions": list(plan.new_versions),
        "dirty": list(plan.dirty),
        "crashed": list(plan.crashed),
        "warnings": [problem.to_dict() for problem in plan.warnings],
        "last": dict(plan.last) or None,
    }


def change_json(change: Change, estimate: Estimate | None = None) -> dict[str, Any]:
    """Return one change."""
    return {
        "model": change.model,
        "category": change.category.word,
        "sign": change.category.sign,
        "reasons": [reason.to_dict() for reason in change.reasons],
        "steps": [_step_json(step) for step in change.steps],
        "moves": [move_json(move) for move in change.moves],
        "run": change.run,
        "waits": list(change.waits),
        "inputs": {column: dict(item) for column, item in change.inputs.items()},
        "estimate": estimate.to_dict() if estimate else None,
        "notes": list(change.notes),
        "annotations": [reason.to_dict() for reason in change.annotations],
    }


def move_json(move: StageMove) -> dict[str, Any]:
    """Return one move of a stage."""
    return {
        "stage": move.stage,
        "before": move.before,
        "run": move.run,
        "version": move.version,
        "cleared": move.cleared,
    }


def _step_json(step: PlannedStep) -> dict[str, Any]:
    return {
        "step": step.step,
        "do": step.do.value,
        "key": step.key,
        "inputs": dict(step.inputs),
        "source": step.known.source if step.known else None,
        "trial": step.trial if step.do is Do.REUSE else None,
        "forced": step.forced,
    }


def _shown(plan: Plan) -> tuple[Change, ...]:
    return tuple(change for change in plan.changes if change.category not in _QUIET)


def _widths(plan: Plan) -> tuple[int, int]:
    shown = _shown(plan)
    return (
        max((width(one_line(change.model)) for change in shown), default=0),
        max((len(change.category.word) for change in shown), default=0),
    )


def _reason_lines(reasons: tuple[Reason, ...]) -> list[str]:
    lines = [reason_text(reason) for reason in reasons[:_REASONS]]
    if len(reasons) > _REASONS:
        lines.append(f"… and {plural(len(reasons) - _REASONS, 'more reason')} (custody plan --json)")
    return lines


def _work(change: Change, estimate: Estimate | None) -> Iterator[str]:
    if not change.active:
        return
    if steps := _steps(change):
        yield Tone.FAINT(f"{steps} · {estimated(estimate)}" if estimate else steps)
    for move in change.moves:
        yield move_text(move)


def _steps(change: Change) -> str:
    by_do = {do: [step.step for step in change.steps if step.do is do] for do in Do}
    tried = any(step.trial and step.do is Do.REUSE for step in change.steps)
    if not by_do[Do.RUN] and not by_do[Do.MAYBE] and not tried:
        return "no step runs" if change.steps else ""
    if not by_do[Do.REUSE]:
        return f"run {', '.join(step.step for step in change.steps)}"
    words = ((Do.REUSE, "reuse"), (Do.RUN, "run"), (Do.MAYBE, "as needed"))
    trials = dict.fromkeys(step.trial for step in change.steps if step.trial and step.do is Do.REUSE)
    adopted = [step.step for step in change.steps if step.trial and step.do is Do.REUSE]
    by_do[Do.REUSE] = [name for name in by_do[Do.REUSE] if name not in adopted]
    parts = [f"{word} {', '.join(by_do[do])}" for do, word in words if by_do[do]]
    named = ", ".join(f"trial {one_line(str(trial))[:8]}" for trial in trials)
    return " · ".join([f"adopt {', '.join(adopted)} from {named}"] * bool(adopted) + parts)


def _after(reason: Reason) -> str:
    """`customers@v3 → v4`: a dataset's name is not said twice."""
    before, after = reason.before, reason.after
    if reason.code.startswith("data.") and isinstance(before, str) and isinstance(after, str):
        name = before.partition("@")[0]
        return value(after.removeprefix(f"{name}@"))
    return value(after)


def _environment(plan: Plan) -> list[str]:
    """Return what differs around unchanged models; causes no work."""
    found: dict[str, list[str]] = {}
    for change in plan.changes:
        for reason in change.annotations if change.category is Category.NOOP else ():
            found.setdefault(reason_text(reason), []).append(one_line(change.model))
    return [f"  ? {', '.join(models)}  {words}" for words, models in found.items()]


def profile_edits(plan: Plan) -> dict[str, list[str]]:
    """Return the places in profiles that are reasons, each with the models that change for it."""
    found: dict[str, list[str]] = {}
    for change in _shown(plan):
        for place in dict.fromkeys(str(reason.place) for reason in change.reasons if reason.place):
            if place.startswith(f"{PROFILES}/"):
                found.setdefault(place, []).append(change.model)
    return found


def profile_lines(plan: Plan) -> list[str]:
    """Return one line for each place in a profile that changes models: how many."""
    return [f"  {plural(len(models), 'model')} for {one_line(place)}" for place, models in profile_edits(plan).items()]


def _dirty(plan: Plan) -> list[str]:
    if not plan.dirty:
        return []
    named = ", ".join(one_line(path) for path in plan.dirty[:_FILES])
    more = f" and {len(plan.dirty) - _FILES} more" if len(plan.dirty) > _FILES else ""
    note = f"This plans the working tree, which differs from the commit in {named}{more}; apply works from the commit."
    return wrapped(note, indent="  ")


def _crashed(plan: Plan) -> list[str]:
    return [f"  Run {one_line(run)[:8]} died without a record; the next apply records it." for run in plan.crashed]


def _next(plan: Plan) -> str:
    if plan.dirty or not plan.spec_commit:
        return 'git commit -a -m "…", then custody apply' if plan.spec_commit else "git commit, then custody apply"
    return "custody apply"
