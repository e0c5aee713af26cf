"""Runs side by side as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from custody.app.side_by_side import Side, SideBySide
from custody.cli.views.apply import number
from custody.cli.views.log import when
from custody.cli.views.measured import comparison_json, flips_line, signed
from custody.cli.views.plan import FORMAT_VERSION
from custody.cli.views.text import Tone, columns, fit, one_line
from custody.core.comparison import Comparison, Difference
from custody.core.side_by_side import Row, shown

_WIDEST, _ROWS = 32, 20
_TONES = {"better": Tone.GOOD, "worse": Tone.WARN, "differs": Tone.WARN}


def text(found: SideBySide) -> str:
    """Return what the runs are, where they differ, and what they measured."""
    blocks = ["\n".join(columns([_title(side) for side in found.sides]))]
    blocks.append("\n".join(_differences(found)) or "They are equal in parameters, data, code, environment and gates.")
    blocks.append("\n".join(_metrics(found)))
    blocks += ["\n".join(lines) for side in found.sides[1:] if (lines := list(_against(found.sides[0], side)))]
    return "\n\n".join(filter(None, blocks))


def note(comparison: Comparison) -> str:
    """Return on what the intervals stand, or why there are none."""
    if comparison.note:
        return f"no intervals: {one_line(comparison.note)}"
    return f"{comparison.rows:,} test rows, the same for both; {comparison.resamples:,} paired resamples"


def name(side: Side) -> str:
    """Return what a run is called: its version and stages, or that it is a trial."""
    if side.trial:
        return "trial"
    return " ".join([side.version or "run", *map(one_line, side.stages)])


def _title(side: Side) -> list[str]:
    run = side.run
    gates = f", gates {run.verdict.count}" if run.verdict and run.verdict.gates else ""
    head = [Tone.STRONG(side.letter), one_line(run.model), name(side), run.id[:8]]
    return [*head, when(run.finished or run.started or ""), f"{run.status}{gates}"]


def _differences(found: SideBySide) -> Iterator[str]:
    rows: list[list[str]] = []
    section = ""
    for row in _cut(found.rows):
        if row.section != section:
            section = row.section
            rows.append([Tone.STRONG(section), *(side.letter for side in found.sides)])
        rows.append([f"  {one_line(row.name)}", *(fit(one_line(shown(value)), _WIDEST) for value in row.values)])
    yield from columns(rows)
    if rows and len(found.rows) > len(list(_cut(found.rows))):
        yield Tone.FAINT("  more: --json")


def _cut(rows: tuple[Row, ...]) -> Iterator[Row]:
    """Yield at most so many rows of each section."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.section] = counts.get(row.section, 0) + 1
        if counts[row.section] <= _ROWS:
            yield row


def _metrics(found: SideBySide) -> Iterator[str]:
    head = [Tone.STRONG("metrics")]
    for side in found.sides:
        head += [side.letter, ""]
    rows = [head]
    for metric in found.metrics:
        row = [f"  {one_line(metric)}"]
        for side in found.sides:
            row += [number(side.run.metrics.get(metric)), _own(side.own.metric(metric))]
        rows.append(row)
    yield from columns(rows)


def _own(found: Difference | None) -> str:
    return "" if found is None or found.least is None else Tone.FAINT(f"{number(found.least)} … {number(found.most)}")


def _against(first: Side, side: Side) -> Iterator[str]:
    comparison = side.against
    if comparison is None:
        return
    yield f"{Tone.STRONG(f'{side.letter} against {first.letter}')}  {Tone.FAINT(note(comparison))}"
    rows = [_difference(one.metric, one) for one in comparison.metrics if one.change is not None]
    for item in comparison.slices:
        if item.difference.change is not None:
            label = f"{item.column} = {item.value}: {item.difference.metric}"
            rows.append(_difference(label, item.difference, f"{item.rows:,} rows"))
    yield from columns(rows, right=frozenset({1}))
    if comparison.flips:
        yield f"  {flips_line(comparison.flips)}"


def _difference(label: str, found: Difference, remark: str = "") -> list[str]:
    bounds = "" if found.low is None or found.high is None else f"{signed(found.low)} … {signed(found.high)}"
    tone = _TONES.get(found.words, Tone.FAINT)
    return [f"  {one_line(label)}", signed(found.change or 0.0), bounds, tone(found.words), Tone.FAINT(remark)]


def to_json(found: SideBySide) -> dict[str, Any]:
    """Return the same facts, none left out."""
    return {
        "format_version": FORMAT_VERSION,
        "runs": [_side_json(side) for side in found.sides],
        "differences": [{"section": row.section, "name": row.name, "values": list(row.values)} for row in found.rows],
    }


def _side_json(side: Side) -> dict[str, Any]:
    run, against = side.run, side.against
    return {
        "letter": side.letter,
        "target": side.target,
        "run": run.id,
        "kind": "trial" if side.trial else "run",
        "model": run.model,
        "version": side.version,
        "stages": list(side.stages),
        "status": str(run.status),
        "finished": run.finished,
        "commit": side.commit,
        "gates": run.verdict.count if run.verdict else None,
        "metrics": {metric: _metric_json(side, metric) for metric in run.metrics},
        "against_first": comparison_json(against) if against else None,
    }


def _metric_json(side: Side, metric: str) -> dict[str, Any]:
    own = side.own.metric(metric)
    return {
        "value": side.run.metrics[metric],
        "low": own.least if own else None,
        "high": own.most if own else None,
    }
