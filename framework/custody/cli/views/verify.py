"""What was verified, in a few lines; and each fault with what was expected, what was found, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from custody.app.verify import Verified
from custody.cli.views.text import Tone, columns, fit, one_line, plural

_MOST = 50
_NAMED = 3
_LONGEST = 300


def text(found: Verified) -> str:
    """Return the verdict, faults first."""
    lines: list[str] = []
    for item in found.faults[:_MOST]:
        lines.append(f"{Tone.BAD('✗ ' + item.code)}  {_shown(item.where)}")
        rows = [["   ", "expected", _shown(item.expected)], ["   ", "found", _shown(item.found)]]
        rows += [["   ", "help", one_line(item.help)]] if item.help else []
        lines += [*columns(rows), ""]
    if len(found.faults) > _MOST:
        lines += [f"… and {plural(len(found.faults) - _MOST, 'fault')} more (--json tells all)", ""]
    rows = [[Tone.FAINT(label), words] for label, words in _covered(found)]
    return "\n".join([*lines, *columns(rows), _verdict(found)])


def to_json(found: Verified) -> dict[str, Any]:
    """Return the same facts, all of them."""
    extent = found.extent
    return {
        "format_version": 1,
        "ok": found.ok,
        "model": found.scope.model,
        "run": found.scope.run,
        "ledger_head": extent.head,
        "seen_before": extent.since,
        "commits": extent.total,
        "records": extent.records,
        "notes": extent.notes,
        "notes_behind": extent.behind,
        "unknown_kinds": dict(extent.unknown),
        "counts": dict(found.counts),
        "faults": [item.to_dict() for item in found.faults],
        "not_here": list(found.absent),
        "remarks": list(found.remarks),
    }


def _verdict(found: Verified) -> str:
    what = "The record" if found.scope.model is None else f"The record of {one_line(found.scope.model)}"
    if found.scope.run:
        what = f"The record of run {found.scope.run}"
    if not found.extent.records:
        return "Nothing is recorded yet." if found.ok else Tone.BAD(f"{plural(len(found.faults), 'fault')}.")
    if found.ok:
        return Tone.GOOD(f"{what} holds.")
    return Tone.BAD(f"{what} does not hold: {plural(len(found.faults), 'fault')}.")


def _covered(found: Verified) -> Iterator[tuple[str, str]]:
    """Yield what was looked at: of what, and how much."""
    extent, counts = found.extent, found.counts
    head = f", head {extent.head[:7]}" if extent.head else ""
    seen = f"saw {extent.since[:7]} last" if extent.since else "first look of this clone: later ones compare with it"
    yield "chain", f"{plural(extent.total, 'commit')}, {plural(extent.records, 'record')}{head}; {seen}"
    yield "code", f"{plural(counts['sources'], 'source commit')}, {plural(counts['adopted'], 'adopted trial')}"
    yield "data", f"{plural(counts['versions'], 'version')} of datasets, manifests against the ledger"
    judged = f"{plural(counts.get('verdicts', 0), 'verdict')} judged again"
    decided = f"{plural(counts.get('register', 0), 'version')}, {plural(counts.get('promotion', 0), 'promotion')}"
    yield "runs", f"{plural(counts.get('run', 0), 'run')}, {judged}; {decided}"
    if sealed := counts.get("predictions", 0):
        yield "served", f"{sealed:,} batch{'es' * (sealed != 1)} of predictions, their roots against the rows"
    tables = f", {plural(counts['tables'], 'table')} digested again" if counts["tables"] else ""
    hashed = f"{plural(counts['objects'], 'object')} ({counts['bytes']:,} bytes) hashed again{tables}"
    yield "bytes", hashed + (f"; not here: {_names(found.absent)}" if found.absent else "")
    notes = "no notes here" if extent.notes is None else f"{plural(extent.notes, 'line')} of notes"
    notes += f" ({extent.behind} owed, the next record writes them)" if extent.behind else ""
    yield "views", f"README.md and stages.json in each commit, index, {notes}"
    for kind, count in extent.unknown.items():
        yield "unknown", f"{plural(count, 'record')} of kind {one_line(kind)}"
    for remark in found.remarks[:_NAMED]:
        yield "remark", one_line(remark)


def _names(absent: list[str]) -> str:
    shown = ", ".join(one_line(name[:90]) for name in absent[:_NAMED])
    more = f" and {len(absent) - _NAMED} more" if len(absent) > _NAMED else ""
    return f"{plural(len(absent), 'object')} ({shown}{more}; --full fetches what mlops/store has)"


def _shown(words: str) -> str:
    return fit(one_line(words), _LONGEST)
