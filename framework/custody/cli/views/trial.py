"""What a trial measured: its metrics beside production's with the difference, the gates, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from custody.app.trial import TrialResult, TriedModel
from custody.cli.views.apply import number
from custody.cli.views.plan import FORMAT_VERSION
from custody.cli.views.text import Tone, columns, fit, one_line, plural
from custody.core.gates import NEARER_ZERO_IS_BETTER, drop
from custody.core.recording import gate_line
from custody.domain.plan import Category
from custody.domain.record import Run, RunStatus

_METRICS = 6
_ENDINGS = {
    RunStatus.REJECTED: "refused",
    RunStatus.BLOCKED: "refused",
    RunStatus.FAILED: "failed",
    RunStatus.CRASHED: "failed",
    RunStatus.INTERRUPTED: "interrupted",
}


def ending(item: TriedModel) -> str:
    """Return how it went for a model: done, refused (a gate or a rule says no), failed, interrupted."""
    if item.category is Category.BLOCKED:
        return "refused"
    return _ENDINGS.get(item.run.status, "done") if item.run and item.same_as[:3] != "run" else "done"


def text(result: TrialResult) -> str:
    """Return one block a model, then what was recorded and what to do next."""
    blocks = ["\n".join(_block(item)) for item in result.models] or ["Nothing to try: no model is declared."]
    return "\n\n".join([_header(result), *blocks, "\n".join(_end(result))])


def to_json(result: TrialResult, exit_code: int) -> dict[str, Any]:
    """Return the same facts as the text."""
    return {
        "format_version": FORMAT_VERSION,
        "plan_id": result.plan.id,
        "spec_commit": result.plan.spec_commit,
        "branch": result.tried.branch,
        "tree": result.tried.tree,
        "commit": result.tried.committed,
        "settings": list(result.tried.settings),
        "exit_code": exit_code,
        "cancelled": result.cancelled,
        "recorded_on": result.branch,
        "shared": result.shared.landed if result.shared else None,
        "promoted": [],
        "models": [model_json(item) for item in result.models],
    }


def _header(result: TrialResult) -> str:
    tried = result.tried
    commit = (result.plan.spec_commit or "")[:7]
    what = f"commit {commit}" if tried.committed else f"the working tree (tree {tried.tree[:7]}, on commit {commit})"
    if not tried.committed and not result.plan.dirty and not tried.settings:
        what = f"the working tree, which is commit {commit}"
    settings = f" with {', '.join(one_line(item) for item in tried.settings)}" if tried.settings else ""
    return Tone.FAINT(f"Tried {what}{settings}")


def _block(item: TriedModel) -> Iterator[str]:
    yield f"{Tone.STRONG(one_line(item.model))}  {_result(item)}"
    if item.run is not None and item.run.complete and not item.same_as.startswith("run"):
        yield from (f"  {line}" for line in columns(_metric_rows(item), right=frozenset({1, 2, 3})))
        yield from (f"  {line}" for line in _gates(item.run))
    if item.note:
        yield f"  {fit(one_line(item.note), 300)}"
    if item.run and item.run.failure and item.run.failure.log:
        yield f"  log: custody show {item.run.id[:8]} --log"


def _result(item: TriedModel) -> str:
    word = item.category.word
    if item.category is Category.BLOCKED:
        return Tone.BAD(f"{word}: it would be refused")
    if item.run is None:
        return f"{word}: nothing to measure"
    if item.same_as.startswith("run"):
        return f"{word}: recorded as {item.same_as}, nothing to try"
    name = f"trial {item.run.id[:8]}"
    if item.same_as:
        return f"{word}: tried before, {name}"
    failure = item.run.failure
    if failure:
        return Tone.BAD(f"{word}: {item.run.status} at {one_line(failure.step)}, {name}")
    work = f"{plural(len(item.ran), 'step')} ran, {len(item.reused)} reused" if item.ran else "no step ran"
    return f"{word}: {name}, {work}"


def _metric_rows(item: TriedModel) -> list[list[str]]:
    run, production = item.run, item.production
    head = ["", "this", "production", "difference", ""]
    rows = [[Tone.FAINT(cell) for cell in head]]
    metrics = run.metrics if run else {}
    judged = [name for name in (run.limits.get("metrics", {}) if run else {}) if name in metrics]
    for name in list(dict.fromkeys([*judged, *metrics]))[:_METRICS]:
        before = production.metrics.get(name) if production else None
        rows.append([one_line(name), number(metrics[name]), number(before), *_difference(name, before, metrics[name])])
    return rows


def _difference(name: str, before: float | None, after: float | None) -> tuple[str, str]:
    """Return the difference and whether it is better or worse, as far as that can be said of the metric."""
    if before is None or after is None:
        return "", ""
    worse = drop(name, before, after)
    word = "same" if not worse else "worse" if worse > 0 else "better"
    tone = {"worse": Tone.WARN, "better": Tone.GOOD}.get(word, Tone.FAINT)
    return f"{after - before:+.4g}", tone(f"{word}, nearer 0 is better" if name in NEARER_ZERO_IS_BETTER else word)


def _gates(run: Run) -> Iterator[str]:
    verdict = run.verdict
    if verdict is None:
        return
    yield f"gates {verdict.count} passed" if verdict.gates else "no gates"
    for gate in verdict.gates:
        if not gate.passed:
            yield Tone.WARN(one_line(gate_line(gate)))


def _end(result: TrialResult) -> Iterator[str]:
    recorded = sum(item.recorded for item in result.models)
    kept = "on" if result.tried.committed else "in this clone only, on"
    where = (
        f"{plural(recorded, 'trial')} recorded {kept} {one_line(result.branch)}" if recorded else "No trial recorded"
    )
    yield f"{where}; nothing is promoted."
    for line in result.shared.left_out if result.shared else ():
        yield one_line(line)
    if result.shared and not result.shared.landed:
        yield Tone.WARN(f"Not shared: {one_line(result.shared.reason)}; custody try --commit shares it again")
    rows = []
    tried = [item for item in result.models if item.run and ending(item) == "done" and item.same_as[:3] != "run"]
    if tried and result.tried.committed:
        rows.append(["Next:", "merge, then custody apply", "(it takes these results over, nothing trains again)"])
    elif tried and result.tried.settings:
        rows.append(["Next:", "write it to pipeline.yaml and commit", "(the results of this trial are found again)"])
    elif tried and result.plan.dirty:
        rows.append(
            ["Next:", 'git commit -a -m "…" && custody try --commit', "(for apply to take over after the merge)"]
        )
    elif tried:
        rows.append(["Next:", "custody try --commit", "(for apply to take over after the merge)"])
    shown = next((item for item in result.models if item.commit), None)
    if shown and shown.commit:
        rows.append(
            ["Look at:", f"git show --stat {shown.commit[:12]}", "(the record; its tree holds source/ as it ran)"]
        )
    yield from columns(rows)


def model_json(item: TriedModel) -> dict[str, Any]:
    """Return what was tried of one model."""
    run, production = item.run, item.production
    return {
        "model": item.model,
        "category": item.category.word,
        "ending": ending(item),
        "status": str(run.status) if run else None,
        "trial": run.id if run and not item.same_as.startswith("run") else None,
        "run": run.id if run else None,
        "commit": item.commit,
        "recorded": item.recorded,
        "same_as": item.same_as or None,
        "metrics": dict(run.metrics) if run else {},
        "production": {"run": production.id, "metrics": dict(production.metrics)} if production else None,
        "verdict": run.verdict.to_dict() if run and run.verdict else None,
        "failure": run.failure.to_dict() if run and run.failure else None,
        "note": item.note,
        "ran": list(item.ran),
        "reused": list(item.reused),
    }
