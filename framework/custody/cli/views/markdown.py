"""The comment on a pull request as Markdown: at most 60,000 bytes, cut in order, its first lines never.

All that comes from specs, data and ledgers is made harmless where it is rendered (`app.render`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from custody.app.comment import Comment, Gate, ModelComment
from custody.app.render import render_comment
from custody.cli.views.apply import number
from custody.cli.views.measured import flips_line, flips_words, signed
from custody.cli.views.plan import reason_text, value
from custody.cli.views.text import duration, fit, one_line, plain, plural
from custody.core.comparison import Comparison, Difference
from custody.domain.plan import Category, Do, Reason
from custody.domain.problem import Place, Severity

MARKER = "<!-- custody:plan -->"
LIMIT = 60_000
"""Bytes; GitHub takes 65,536 characters."""
SUMMARY_LIMIT = 900_000
"""Bytes of a step's summary, of which GitHub takes a mebibyte for all that the step writes."""
_TEMPLATE = "comment/plan.md.j2"
_TEXT = 200
_IN_ROW = 3
_LISTED = 40
_ORDER = (Category.BLOCKED, Category.HELD, Category.REBUILD, Category.RETRAIN, Category.NEW)
_SETTLED = {
    Category.BLOCKED: "refused, and recorded as refused",
    Category.HELD: "held: nothing moves until its spec or its limits change",
    Category.RETIRE: "retired: its stages point to nothing, its records stay",
    Category.RENAME: "renamed: history, versions and stages go on; no step runs",
    Category.METADATA: "recorded; no step runs",
    Category.MONITOR: "watched so from the merge on; no step runs",
    Category.MAYBE: "planned again once the models that it reads are done",
    Category.NOOP: "takes back what the base has still to do",
}


class Level(StrEnum):
    """How much is said; from the most to the least."""

    FULL = "full"
    BRIEF = "brief"
    TABLE = "table"
    COUNTS = "counts"


@dataclass(frozen=True, slots=True)
class Links:
    """Where the files of the change can be read: `files` is a URL up to the project's root, `full` the whole plan."""

    files: str | None = None
    full: str | None = None

    def to(self, place: Place | None) -> str | None:
        """Return the URL of the line; None where there is no host or no place."""
        if not self.files or place is None or len(place.path) > _TEXT:
            return None
        return f"{self.files}{quote(place.path, errors='replace')}#L{place.line}"


def text(comment: Comment, links: Links | None = None, limit: int = LIMIT) -> str:
    """Return the comment with all that fits into `limit` bytes of UTF-8: the fullest level that does."""
    links = links or Links()
    for level in Level:
        rendered = render(comment, links, level)
        if len(rendered.encode()) <= limit:
            return rendered
    return rendered


def render(comment: Comment, links: Links, level: Level) -> str:
    """Return the comment at one level."""
    models = sorted(comment.models, key=_order)
    plan = comment.plan
    filled = render_comment(
        _TEMPLATE,
        marker=_Raw(MARKER),
        level=str(level),
        verdict=verdict(comment),
        alerts=[_Raw(line) for line in _alerts(comment)],
        counts=counts(comment),
        problems=[_problem(item, links) for item in comment.problems[:_LISTED]],
        rows=[_row(item, links) for item in models],
        models=[_model(item, links, comment) for item in models if _has_details(item)] if level != Level.TABLE else [],
        after=list(_after(models)),
        radius=_radius(comment),
        datasets=sorted({_short(item.dataset) for item in models if item.dataset})[:_LISTED],
        owed=_owed(comment),
        notes=[_short(note) for note in comment.notes],
        footer="Plan" if plan.id else "No plan",
        plan=plan.id[:7],
        head=(plan.spec_commit or "")[:9],
        base=(comment.base or "")[:9],
        full=links.full if level in {Level.TABLE, Level.COUNTS} else None,
    )
    return _squeezed(filled)


def verdict(comment: Comment) -> str:
    """Return the line that says whether the change may be merged, as far as it is known; its length is bounded."""
    errors = sum(item.severity is Severity.ERROR for item in comment.problems)
    if errors:
        return f"❌ cannot be planned: {plural(errors, 'error')} in the specs"
    if comment.empty:
        return "✅ nothing changes"
    words = _judgement(comment) if comment.measured else ""
    return f"{words} · {counts(comment)}" if words else counts(comment)


def _judgement(comment: Comment) -> str:
    blocked = sum(item.change.category is Category.BLOCKED for item in comment.models)
    if blocked:
        return f"⛔ blocked: {plural(blocked, 'model')}"
    failing = sum(item.passed is False for item in comment.models)
    if failing:
        return f"❌ {plural(failing, 'model')} would not pass its gates"
    unknown = sum(item.passed is None and bool(item.change.to_run) for item in comment.models)
    if unknown:
        return f"❔ not measured yet: {plural(unknown, 'model')}"
    gates = sum(len(item.gates) for item in comment.models)
    return f"✅ may merge{f' ({gates}/{gates} gates)' if gates else ''}"


def counts(comment: Comment) -> str:
    """Return `1 retrain · 2 re-gate · 46 unchanged`."""
    found = Counter(item.change.category for item in comment.models)
    parts = [plural(len(comment.plan.new_versions), "new data version")] if comment.plan.new_versions else []
    parts += [f"{found[item]} {item.word}" for item in Category if found[item]]
    rest = comment.unchanged
    return " · ".join([*parts, *([f"{rest} unchanged"] if rest else [])]) or "no models"


def _alerts(comment: Comment) -> Iterator[str]:
    if comment.relaxed:
        yield f"⚠️ **gate relaxed**: this change loosens {plural(comment.relaxed, 'limit')}"
    narrow = sum(gate.narrow for item in comment.models for gate in item.gates)
    if narrow:
        yield f"⚠️ {plural(narrow, 'gate')} judged narrowly: the limit lies within the 95 % interval"


class _Raw(str):
    """Text of custody's own that is Markdown already."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


def _order(item: ModelComment) -> tuple[int, str]:
    category = item.change.category
    return _ORDER.index(category) if category in _ORDER else len(_ORDER), item.change.model


def _short(words: str) -> str:
    return fit(one_line(plain(words)), _TEXT)


def _problem(problem: Any, links: Links) -> dict[str, Any]:
    place = problem.place
    said = {"code": problem.code, "message": _short(problem.message)}
    return {**said, "place": _short(str(place)) if place else "", "url": links.to(place)}


def _reason(reason: Reason, links: Links) -> dict[str, Any]:
    place = _short(f"{reason.place.path}:{reason.place.line}") if reason.place else ""
    return {"text": _short(reason_text(reason, place=False)), "place": place, "url": links.to(reason.place)}


def _row(item: ModelComment, links: Links) -> dict[str, Any]:
    reasons = [_reason(reason, links) for reason in item.reasons[:_IN_ROW]]
    if len(item.reasons) > _IN_ROW:
        reasons.append({"text": f"{len(item.reasons) - _IN_ROW} more", "url": None})
    relaxed = _Raw("**gate relaxed** · ") if item.relaxed else ""
    gates = _Raw(f"{relaxed}{_gates_words(item)}")
    what = item.change.category.word
    return {"model": _short(item.change.model), "what": what, "reasons": reasons, "gates": gates}


def _gates_words(item: ModelComment) -> str:
    if item.measured:
        passed = sum(gate.result.passed for gate in item.gates)
        narrow = sum(gate.narrow for gate in item.gates)
        said = f"{passed}/{len(item.gates)} pass" if item.gates else "no gates"
        return said + (f", {narrow} narrowly" if narrow else "")
    if item.change.category is Category.HELD:
        return "not passed"
    return "not measured" if item.change.to_run else "none"


def _has_details(item: ModelComment) -> bool:
    return bool(item.measured or item.relaxed or item.reasons)


def _model(item: ModelComment, links: Links, comment: Comment) -> dict[str, Any]:
    comparison = item.comparison
    return {
        "name": _short(item.change.model),
        "headline": _headline(item),
        "dataset": _short(item.dataset or ""),
        "before": f"production {item.version}" if item.version else "production",
        "relaxed": [
            {
                "text": _short(f"{one.limit.path} {value(one.limit.before)} → {value(one.limit.after)}"),
                "url": links.to(one.place),
            }
            for one in item.relaxed
        ],
        "metrics": [_metric(one, item.gates) for one in _gated_first(item)],
        "note": _note(item) if comment.measured else "",
        "flips": flips_line(comparison.flips) if comparison and comparison.flips else "",
        "slices": list(_slices(comparison)) if comparison else [],
        "gates": [_gate(one) for one in item.gates],
        "reasons": [_reason(reason, links) for reason in item.reasons],
        "steps": _steps(item),
        "details": True,
    }


def _headline(item: ModelComment) -> str:
    parts = [item.change.category.word]
    if item.measured:
        kind = "trial" if item.measured.trial else "recorded run"
        parts.append(f"measured by {kind} {item.measured.run.id[:8]}")
    return " · ".join(parts)


def _gated_first(item: ModelComment) -> list[Difference]:
    judged = {gate.result.metric for gate in item.gates if not gate.result.gate.startswith("slices.")}
    found = item.comparison.metrics if item.comparison else ()
    return sorted(found, key=lambda one: one.metric not in judged)


def _metric(found: Difference, gates: tuple[Gate, ...]) -> dict[str, Any]:
    judged = [gate for gate in gates if gate.result.gate.rpartition(".")[0] == found.metric]
    return {"name": _short(found.metric), **_difference(found), "gate": "; ".join(_limit(gate) for gate in judged)}


def _difference(found: Difference) -> dict[str, Any]:
    change = "" if found.change is None else signed(found.change)
    if found.low is not None and found.high is not None:
        change += f" ({signed(found.low)} … {signed(found.high)})"
    before = number(found.before) if found.before is not None else "none"
    return {"before": before, "after": number(found.after), "change": change, "words": found.words}


def _limit(gate: Gate) -> str:
    result = gate.result
    sign = {"max": "≤", "max_drop": "drop ≤", "n": "n ≥"}.get(result.gate.rpartition(".")[2], "≥")
    mark = "✔ pass" if result.passed else "✘ FAIL"
    return f"{sign} {result.limit:g} {mark}" + (", narrowly" if gate.narrow else "")


def _gate(gate: Gate) -> dict[str, Any]:
    result = gate.result
    name = result.gate + (f"[{result.slice}]" if result.slice is not None else "")
    room = "" if gate.margin is None else signed(gate.margin)
    words = ("pass" if result.passed else "FAIL") + (", narrowly" if gate.narrow else "")
    return {
        "name": _short(name),
        "value": number(result.value),
        "limit": f"{result.limit:g}",
        "margin": room,
        "words": words + (f" ({_short(result.note)})" if result.note else ""),
    }


def _note(item: ModelComment) -> str:
    comparison = item.comparison
    if comparison is None:
        if not item.change.to_run:
            return ""
        return (
            "Not measured: no trial of these inputs is recorded (custody try --commit); it is trained after the merge"
        )
    if comparison.note:
        return f"No intervals: {_short(comparison.note)}."
    return f"{comparison.rows:,} test rows, the same for both; {comparison.resamples:,} paired resamples."


def _slices(comparison: Comparison) -> Iterator[dict[str, Any]]:
    for item in comparison.slices[:_LISTED]:
        row = {"name": _short(f"{item.column} = {item.value}"), "rows": f"{item.rows:,}"}
        flips = flips_words(item.flips) if item.flips else ""
        yield {**row, "metric": _short(item.difference.metric), **_difference(item.difference), "flips": flips}


def _steps(item: ModelComment) -> str:
    words = ((Do.REUSE, "reuse"), (Do.RUN, "run"), (Do.MAYBE, "as needed"))
    by_do = {do: [step.step for step in item.change.steps if step.do is do] for do, _ in words}
    said = "; ".join(f"{word} {', '.join(by_do[do])}" for do, word in words if by_do[do])
    return f"steps: {said}" if said else ""


def _after(models: list[ModelComment]) -> Iterator[dict[str, str]]:
    for item in models:
        if words := after_merge(item):
            yield {"model": _short(item.change.model), "text": words}


def after_merge(item: ModelComment) -> str:
    """Return what a merge does with one model."""
    change = item.change
    if change.category in _SETTLED:
        return _SETTLED[change.category]
    if item.passed is False:
        return "its gates fail: recorded as rejected, production stays"
    parts = [_work(item)]
    for move in change.moves:
        now = "nothing" if move.cleared else move.version or item.next_version or "this run"
        condition = "" if item.passed or move.cleared else " if its gates pass"
        was = f" (was {item.version})" if item.version else ""
        parts.append(f"{one_line(move.stage)} → {now}{was}{condition}")
    return ", then ".join(parts)


def _work(item: ModelComment) -> str:
    if item.adopts:
        return f"adopts trial {item.adopts[:8]}: its bytes are hashed again, nothing is trained"
    if not item.change.to_run:
        return "judged again, nothing trained" if item.change.category is Category.REGATE else "no step runs"
    estimate = item.estimate
    words = f"runs {', '.join(item.change.to_run)}"
    if estimate is None:
        return f"{words} (no earlier run tells how long)"
    cost = f"p90 {duration(estimate.p90)}, {duration(estimate.cpu)} CPU, n = {estimate.n}"
    return f"{words} ≈ {duration(estimate.p50)} ({cost})"


def _radius(comment: Comment) -> str:
    moving = [item for item in comment.models if item.moving]
    stages = sum(len(item.change.moves) for item in comment.models)
    if not comment.models:
        return ""
    parts = [plural(len(comment.models), "model"), f"{len(moving)} may answer differently", plural(stages, "stage")]
    estimates = [item.estimate for item in comment.models if item.estimate]
    time = ""
    if estimates:
        p50, p90 = sum(one.p50 for one in estimates), sum(one.p90 for one in estimates)
        time = f" · compute ≈ {duration(p50)} (p90 {duration(p90)}, n = {min(one.n for one in estimates)})"
    return f"Blast radius: {' · '.join(parts)}{time}"


def _owed(comment: Comment) -> str:
    if not comment.owed:
        return ""
    named = ", ".join(f"{_short(model)} ({category.word})" for model, category in comment.owed[:5])
    more = f" and {len(comment.owed) - 5} more" if len(comment.owed) > 5 else ""  # noqa: PLR2004
    return f"The base itself still owes: {named}{more}."


def _squeezed(rendered: str) -> str:
    """Return `rendered` with at most one blank line in a row, and ended by a newline."""
    lines: list[str] = []
    for line in rendered.split("\n"):
        if line or (lines and lines[-1]):
            lines.append(line)
    return "\n".join(lines).strip("\n") + "\n"
