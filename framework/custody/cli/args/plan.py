"""`custody plan`: what apply would do."""

from __future__ import annotations

import argparse

from custody import __version__
from custody.cli.output import Output
from custody.domain.plan import Category, Plan

HELP = "show what apply would do, and why; changes nothing"
EXAMPLES = """\
examples:
  custody plan                      plan the working tree
  custody plan --revision main      plan a commit
  custody plan churn --json         one model, as JSON

exit codes: 0 done (also where there are changes), 1 the specs have errors, 4 a model is blocked;
with --detailed-exitcode: 2 where there are changes"""

CHANGES, BLOCKED = 2, 4


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", nargs="*", metavar="MODEL", help="plan these models only")
    parser.add_argument("--revision", metavar="REV", help="plan this commit instead of the working tree")
    parser.add_argument("--detailed-exitcode", action="store_true", help="exit 2 where there are changes")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.plan import make_plan
    from custody.app.project import open_project
    from custody.cli.last import outcome
    from custody.cli.views import plan as view

    project = open_project(out.directory)
    with outcome(project.state_dir, "plan") as last:
        revision = project.worktree.commit(args.revision).id if args.revision else None
        plan = make_plan(project, revision=revision, targets=tuple(args.models))
        last.exit_code = exit_code(plan, detailed=args.detailed_exitcode)
        last.facts = {"plan_id": plan.id, "has_changes": plan.has_changes, "models": _models(plan)}
    if out.json_mode:
        out.json(view.to_json(plan, __version__))
    else:
        out.problems(plan.warnings)
        out.result(view.text(plan, __version__))
    return last.exit_code


def exit_code(plan: Plan, *, detailed: bool) -> int:
    """Return 4 where a model is blocked, 2 where there are changes and the caller wants to know, else 0."""
    if any(change.category is Category.BLOCKED for change in plan.changes):
        return BLOCKED
    return CHANGES if detailed and plan.has_changes else 0


def _models(plan: Plan) -> dict[str, str]:
    return {change.model: change.category.word for change in plan.changes if change.category is not Category.NOOP}
