"""One prediction: the answer first, whether it comes out again, its inputs by what they added, its chain of custody."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from custody.app.explain import Explanation, Input
from custody.cli.views import trace
from custody.cli.views.text import Tone, columns, fit, one_line

_MOST = 40
"""Inputs that are listed; all are in --json."""
_VALUE = 40
_BAR = 20
_HOW = {
    "trees": "exact, from its trees",
    "linear": "exact, from its weights",
    "combinations": "exact, from all combinations of inputs",
    "sampled": "sampled, ± the standard error",
}


def text(done: Explanation) -> str:
    """Return the page."""
    found = done.found
    name = f"{found.model} {found.version}" if found.version else found.model
    lines = [f"{Tone.STRONG(one_line(found.id))}  {one_line(name)} · run {found.run[:8]} · {found.time}"]
    lines += [_place(done), "", *_answer(done), "", *_inputs(done)]
    lines += [f"Note: {one_line(note)}" for note in done.notes]
    lines += ["", Tone.STRONG("chain of custody")]
    return "\n".join([*lines, trace.text(done.chain)])


def _place(done: Explanation) -> str:
    batch, row = done.found.batch, done.found.row
    if batch is None or row is None:
        return "not sealed yet: it is in the journal of a server"
    return f"row {row + 1:,} of {batch.rows:,} in batch {batch.id} ({batch.source}), root {batch.root}"


def _answer(done: Explanation) -> Iterator[str]:
    yield f"answer   {Tone.STRONG(_shown(done.found.prediction))}{_chances(done.found.probabilities)}"
    again = done.rescored
    artifact = f"artifact sha256:{done.found.artifact}"
    if again is None:
        return
    if again.same:
        yield f"again    {Tone.GOOD('same')}, with {artifact}"
        return
    yield f"again    {Tone.BAD('differs')}: {_shown(again.prediction)}{_chances(again.probabilities)}, with {artifact}"
    reasons = again.because or ("nothing that is recorded differs; what was kept of the row may",)
    yield from (f"         likely: {one_line(reason)}" for reason in reasons)


def _inputs(done: Explanation) -> Iterator[str]:
    basis, shown = done.basis, done.inputs[:_MOST]
    more = done.inputs[_MOST:]
    if basis is None:
        yield Tone.STRONG("inputs")
        yield from columns([[f"  {one_line(item.feature)}", _shown(item.value)] for item in shown])
        if more:
            yield f"  and {len(more):,} more, in --json"
        return
    of = basis.of if basis.scale == "value" else f"the {basis.scale} of {basis.of}"
    against = f"against {basis.rows:,} training rows"
    yield f"{Tone.STRONG('inputs')}, and what each adds to {one_line(of)} ({_HOW[basis.method]}; {against})"
    most = max((abs(item.adds or 0.0) for item in shown), default=0.0)
    rows = [[*_row(item, most)] for item in shown]
    if more:
        rows.append([f"  {len(more):,} more", "in --json", _signed(sum(item.adds or 0.0 for item in more)), "", ""])
    rows = [["  average of the rows", "", f"{basis.base:.4g}", "", ""], *rows]
    rows.append(["  this row", "", f"{basis.score:.4g}", "", ""])
    yield from columns(rows, right=frozenset({2}))


def _row(item: Input, most: float) -> Iterator[str]:
    adds = item.adds or 0.0
    yield f"  {one_line(item.feature)}"
    yield _shown(item.value)
    yield _signed(adds)
    yield "" if item.error is None else f"± {item.error:.2g}"
    bar = "#" * round(_BAR * abs(adds) / most) if most else ""
    yield Tone.WARN(bar) if adds > 0 else Tone.INFO(bar)


def _signed(value: float) -> str:
    return f"{value:+.4g}" if value else "0"


def _chances(probabilities: Any) -> str:
    if not probabilities:
        return ""
    parts = [f"{one_line(label)} {value:.4g}" for label, value in probabilities.items()]
    return f"  (probability: {', '.join(parts)})"


def _shown(value: Any) -> str:
    if value is None:
        return "(null)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.10g}"
    return fit(one_line(value.isoformat() if isinstance(value, (date, datetime)) else str(value)), _VALUE)
