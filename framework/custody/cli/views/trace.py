"""The chain of custody as a tree: each fact, and after it the plain Git command that shows its proof."""

from __future__ import annotations

from collections.abc import Sequence

from custody.app.trace import Fact, Trace
from custody.cli.views.text import Tone, one_line, pad, width


def text(trace: Trace) -> str:
    """Return the tree."""
    return "\n".join([Tone.STRONG(one_line(trace.title)), *branches(trace.facts)])


def branches(facts: Sequence[Fact], indent: str = "") -> list[str]:
    """Return the lines of sibling facts and of all below them."""
    labels = max((width(one_line(fact.label)) for fact in facts), default=0)
    lines = []
    for number, fact in enumerate(facts, 1):
        last = number == len(facts)
        corner, rail = ("└─ ", "   ") if last else ("├─ ", "│  ")
        words = (
            f"{Tone.INFO(one_line(fact.label))}{' ' * (labels - width(one_line(fact.label)))}  {one_line(fact.text)}"
        )
        proof = f"  {Tone.FAINT('$ ' + one_line(fact.command))}" if fact.command else ""
        lines.append(pad(indent + corner + words, 0) + proof)
        lines += branches(fact.facts, indent + rail)
    return lines
