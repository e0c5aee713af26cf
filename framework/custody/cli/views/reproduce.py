"""How alike a run and its reproduction are: the grade first, then where they part, and the likely reasons."""

from __future__ import annotations

from typing import Any

from custody.app.reproduce import Reproduced
from custody.cli.views.text import Tone, columns, duration, one_line
from custody.core.reproduction import Grade

_WORDS = {
    Grade.IDENTICAL: "the artifact and the evaluation have the digests that were recorded",
    Grade.PREDICTIONS: "another artifact, and the same predictions on the test rows",
    Grade.EQUAL: "other bytes, and metrics that differ by less than 1e-9",
    Grade.DIFFERENT: "something else came out",
    Grade.FAILED: "it could not be made again",
}
_SHORT = 12


def text(done: Reproduced) -> str:
    """Return the answer."""
    run, compared = done.found.run, done.compared
    tone = Tone.GOOD if done.ok else Tone.BAD
    what = f"{'trial' if done.trial else 'run'} {run.id[:8]} of {run.model}"
    lines = [f"{tone(str(compared.grade))}: {one_line(what)}; {_WORDS[compared.grade]}"]
    source = f"{'tree' if done.trial else 'commit'} {done.revision[:_SHORT]}"
    data = f"{run.data.get('dataset')}@{run.data.get('version')}"
    rows = [["  from", f"{source}, {one_line(data)}, {done.engine}, {duration(done.seconds)}"]]
    rows += [["  artifact", f"sha256:{run.artifact}"]] if compared.steps.get("train") else []
    if compared.first:
        same = [name for name, equal in compared.steps.items() if equal]
        rows.append(["  parts at", f"{compared.first}" + (f" (equal: {', '.join(same)})" if same else "")])
    lines += columns(rows)
    if compared.metrics:
        head = ["  metric", "recorded", "made again"]
        lines += columns(
            [head, *([f"  {name}", _value(one), _value(two)] for name, (one, two) in compared.metrics.items())]
        )
    lines += [f"  likely: {one_line(reason)}" for reason in compared.reasons]
    if compared.grade is not Grade.IDENTICAL and not compared.reasons:
        lines.append("  likely: nothing that is recorded differs; the processor or a library that is not seen may")
    return "\n".join(lines)


def to_json(done: Reproduced) -> dict[str, Any]:
    """Return the same facts."""
    run, compared = done.found.run, done.compared
    return {
        "format_version": 1,
        "ok": done.ok,
        "grade": str(compared.grade),
        "run": run.id,
        "model": run.model,
        "trial": done.trial,
        "revision": done.revision,
        "data": dict(run.data),
        "engine": done.engine,
        "seconds": done.seconds,
        "first_difference": compared.first,
        "steps": dict(compared.steps),
        "metrics": {name: {"recorded": one, "made": two} for name, (one, two) in compared.metrics.items()},
        "reasons": list(compared.reasons),
    }


def _value(value: float | None) -> str:
    return "none" if value is None else repr(value)
