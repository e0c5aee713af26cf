"""The limits of a reference as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from custody.app.calibrate import Bound, Calibrated
from custody.cli.views.text import Tone, columns, one_line, plural
from custody.domain.reference import Reference


def text(item: Calibrated) -> str:
    """Return a line a column: its limit, how often it would have fired on the reference, what it can see."""
    name = Tone.STRONG(one_line(item.model))
    if item.reference is None:
        return f"{name}  {Tone.BAD('no reference')}  {one_line(item.error)}"
    lines = [f"{name}  {one_line(_reference(item.reference))}"]
    head = [Tone.FAINT(word) for word in ("  column", "against", f"{item.reference.stat} above", "fired", "finds")]
    lines += columns([head, *(_row(bound) for bound in item.bounds)])
    lines += _outcomes(item.reference)
    lines += [f"  {Tone.FAINT('note')}  {one_line(note)}" for note in item.notes]
    return "\n".join(lines)


def to_json(item: Calibrated) -> dict[str, Any]:
    """Return the same facts."""
    return {
        "model": item.model,
        "reference": item.reference.to_dict() if item.reference else None,
        "bounds": [asdict(bound) for bound in item.bounds],
        "notes": list(item.notes),
        "error": item.error or None,
    }


def _reference(reference: Reference) -> str:
    rows = f"{reference.data}, {reference.rows:,} rows"
    if reference.every is None:
        return f"{rows} without a time: limits follow from the number of rows in a window"
    return f"{rows} in {plural(reference.blocks, 'block')} of a {reference.every}"


def _row(bound: Bound) -> list[str]:
    name = f"  {one_line(bound.column)}" if bound.column else "  (predictions)"
    if bound.limit is None:
        return [name, bound.against or "-", "-", "-", Tone.FAINT(one_line(bound.why))]
    fired = f"{bound.fired} of {bound.blocks}"
    return [name, bound.against, f"{bound.limit:.3g}", Tone.WARN(fired) if bound.fired else fired, _sees(bound)]


def _sees(bound: Bound) -> str:
    if bound.sees is None:
        return Tone.WARN("no shift, however large")
    return f"{bound.sees:.0%} turned into the commonest" if bound.categories else f"a shift of {bound.sees:.2g} sd"


def _outcomes(reference: Reference) -> Iterator[str]:
    found = reference.outcomes
    if not found:
        return
    metrics = ", ".join(f"{name} {value:.3g}" for name, value in found["metrics"].items())
    yield f"  outcomes by the {found['every']}, against {found['source']}: {metrics}"
    if found["blocks"]:
        worst = ", ".join(f"{name} {value:.3g}" for name, value in found["worst"].items())
        yield f"  worst of {plural(found['blocks'], 'block')}: {worst}; largest bias {found['bias']:.3g}"
