"""`custody plan`: what apply would do."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from typing import Any

from custody import __version__
from custody.cli.choose import add_choice, choice_of
from custody.cli.output import Output
from custody.core.choice import EVERYTHING, Choice
from custody.domain.plan import Category, Plan

HELP = "show what apply would do, and why; changes nothing"
EXAMPLES = """\
examples:
  custody plan                      plan the working tree
  custody plan --revision main      plan a commit
  custody plan churn --json         one model, as JSON
  custody plan --exclude churn      all but one
  custody plan --replace churn:train --reason "new driver"    as if that step had no result
  custody plan --base main          what this change adds to what main owes already; in CI by itself
  custody plan --format github      annotations on the lines, and the step summary

exit codes: 0 done (also where there are changes), 1 the specs have errors, 4 a model is blocked;
with --detailed-exitcode: 2 where there are changes"""

CHANGES, BLOCKED = 2, 4
FORMATS = ("text", "json", "markdown", "github")
HOSTS = ("markdown", "github")
"""Formats that show the plan as the comment does."""


def configure(parser: argparse.ArgumentParser) -> None:
    add_choice(parser, "plan")
    parser.add_argument("--revision", metavar="REV", help="plan this commit instead of the working tree")
    parser.add_argument("--base", metavar="REV", help="plan against this branch or commit; in CI: the target branch")
    parser.add_argument("--format", choices=FORMATS, help="how to show it; github: annotations and the step summary")
    parser.add_argument("--detailed-exitcode", action="store_true", help="exit 2 where there are changes")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.project import open_project
    from custody.cli.last import outcome
    from custody.cli.views import plan as view

    choice = choice_of(args)
    project = open_project(out.directory)
    with outcome(project.state_dir, "plan") as last:
        revision = project.worktree.commit(args.revision).id if args.revision else None
        base = _base(project, args, os.environ)
        prepared = _prepared(project, base, revision, choice, for_host=args.format in HOSTS)
        planned = prepared if base else None
        plan = prepared if isinstance(prepared, Plan) else prepared.plan
        last.exit_code = exit_code(plan, detailed=args.detailed_exitcode)
        last.facts = {"plan_id": plan.id, "has_changes": plan.has_changes, "models": _models(plan)}
    if out.json_mode or args.format == "json":
        out.json(_base_view().to_json(planned, __version__) if planned else view.to_json(plan, __version__))
    elif args.format in HOSTS:
        _for_host(project, args, prepared, out)
    else:
        out.problems(plan.warnings)
        out.result(_base_view().text(planned, __version__) if planned else view.text(plan, __version__))
    return last.exit_code


def _prepared(project: Any, base: str | None, revision: str | None, choice: Choice, *, for_host: bool) -> Any:
    """Plan against a base, or what is chosen, or everything: then what did not change is not read."""
    if base or for_host or choice != EVERYTHING:
        from custody.app.base import plan_against

        return plan_against(project, base, revision, choice)
    from custody.app.quick import quick_plan

    return quick_plan(project, revision=revision)


def _base_view() -> Any:
    from custody.cli.views import base

    return base


def _base(project: Any, args: argparse.Namespace, environ: Mapping[str, str]) -> str | None:
    """Return what to plan against: what was asked for, else on a pull request the branch that it goes to."""
    if args.base or args.revision:
        return str(args.base) if args.base else None
    target = environ.get("GITHUB_BASE_REF") or environ.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME")
    if not target:
        return None
    from custody.app.base import target_of

    return target_of(project, target)


def _for_host(project: Any, args: argparse.Namespace, prepared: Any, out: Output) -> None:
    """Show the plan as the comment does, without what was measured; `github` annotates and writes the step summary."""
    from custody.app.comment import comment_on
    from custody.cli.actions import Actions
    from custody.cli.views import annotations, markdown

    comment = comment_on(project, prepared, measure=False)
    actions = Actions.of(os.environ)
    text = markdown.text(comment, markdown.Links(actions.files_below(project.root), actions.run))
    if args.format == "github":
        out.annotate(annotations.lines(comment), anywhere=True)
        if actions.summarise(text):
            return
    out.result(text.rstrip("\n"))


def exit_code(plan: Plan, *, detailed: bool) -> int:
    """Return 4 where a model is blocked, 2 where there are changes and the caller wants to know, else 0."""
    if any(change.category is Category.BLOCKED for change in plan.changes):
        return BLOCKED
    return CHANGES if detailed and plan.has_changes else 0


def _models(plan: Plan) -> dict[str, str]:
    return {change.model: change.category.word for change in plan.changes if change.category is not Category.NOOP}
