"""Words, and JSON, for what two evaluations measured: differences, their intervals, flips."""

from __future__ import annotations

from typing import Any

from custody.core.comparison import Comparison, Difference, Flips

_MINUS = "\N{MINUS SIGN}"


def signed(amount: float) -> str:
    """Return `+0.006`, `0`, or with a true minus sign what is less."""
    shown = f"{abs(amount):.3g}"
    return shown if float(shown) == 0 else f"{_MINUS if amount < 0 else '+'}{shown}"


def flips_line(flips: Flips) -> str:
    """Return how many predictions flip, and which way."""
    head = f"Predictions that flip: {flips.total:,} of {flips.rows:,} ({flips.share:.1%})"
    return f"{head}: {flips_words(flips)}"


def flips_words(flips: Flips) -> str:
    """Return which way predictions flip."""
    if flips.tolerance is not None:
        return f"error grew by more than {flips.tolerance:.3g} in {flips.newly_wrong:,}, shrank in {flips.fixed:,}"
    moved = f", {flips.moved:,} wrong in another way" if flips.moved else ""
    return f"{flips.fixed:,} fixed, {flips.newly_wrong:,} newly wrong{moved}"


def comparison_json(found: Comparison) -> dict[str, Any]:
    """Return all of a comparison."""
    return {
        "rows": found.rows,
        "resamples": found.resamples,
        "note": found.note,
        "metrics": [_difference(item) for item in found.metrics],
        "flips": _flips(found.flips),
        "slices": [
            {
                "column": item.column,
                "value": item.value,
                "rows": item.rows,
                **_difference(item.difference),
                "flips": _flips(item.flips),
            }
            for item in found.slices
        ],
    }


def _difference(found: Difference) -> dict[str, Any]:
    bounds = None if found.low is None else [found.low, found.high]
    return {
        "metric": found.metric,
        "before": found.before,
        "after": found.after,
        "change": found.change,
        "interval": bounds,
        "words": found.words,
    }


def _flips(flips: Flips | None) -> dict[str, Any] | None:
    if flips is None:
        return None
    return {
        "rows": flips.rows,
        "newly_wrong": flips.newly_wrong,
        "fixed": flips.fixed,
        "moved": flips.moved,
        "tolerance": flips.tolerance,
    }
