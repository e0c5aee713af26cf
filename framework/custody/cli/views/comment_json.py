"""The comment on a pull request as JSON: the same facts as the Markdown, with all digits."""

from __future__ import annotations

from typing import Any

from custody.app.comment import Comment, Gate, ModelComment
from custody.cli.views.measured import comparison_json
from custody.cli.views.plan import change_json


def to_json(comment: Comment, verdict: str) -> dict[str, Any]:
    """Return the comment; within one major format only fields are added."""
    return {
        "format_version": "1.0",
        "verdict": verdict,
        "plan_id": comment.plan.id or None,
        "spec_commit": comment.plan.spec_commit,
        "base": comment.base,
        "empty": comment.empty,
        "models": [_model(item) for item in comment.models],
        "new_versions": list(comment.plan.new_versions),
        "owed": {model: category.word for model, category in comment.owed},
        "notes": list(comment.notes),
        "problems": [problem.to_dict() for problem in comment.problems],
    }


def _model(item: ModelComment) -> dict[str, Any]:
    estimate, measured = item.estimate, item.measured
    return {
        **change_json(item.change),
        "reasons": [reason.to_dict() for reason in item.reasons],
        "dataset": item.dataset,
        "production": {"version": item.version, "run": item.production.id} if item.production else None,
        "measured": {"run": measured.run.id, "trial": measured.trial} if measured else None,
        "adopts": item.adopts,
        "passed": item.passed,
        "relaxed": [
            {"limit": one.limit.path, "before": one.limit.before, "after": one.limit.after, "place": str(one.place)}
            for one in item.relaxed
        ],
        "gates": [_gate(one) for one in item.gates],
        "comparison": comparison_json(item.comparison) if item.comparison else None,
        "estimate": estimate.to_dict() if estimate else None,
    }


def _gate(gate: Gate) -> dict[str, Any]:
    return {**gate.result.to_dict(), "margin": gate.margin, "narrow": gate.narrow}
