"""`custody comment`: what a reviewer needs to know of a change, as one comment on its pull request."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from custody.cli.actions import Actions
from custody.cli.output import Output
from custody.core.choice import Choice

HELP = "say on a pull request what a change will do and what it measures"
EXAMPLES = """\
examples:
  custody comment --base main                  print the Markdown
  custody comment --base main --out plan.md    write it to a file, for any other host
  custody comment --post                       in GitHub Actions: create or edit the comment
  custody comment --post --pr 7 --repo owner/name

In GitHub Actions the base, the pull request and the repository come from the job, and the step summary and
annotations are written too. The token is read from GITHUB_TOKEN and needs `pull-requests: write`; where it can only
read, as for a fork, the summary and the file are written, it says so and ends with 0.

exit codes: 0 done, 1 the specs have errors or the host refused, 4 a model is blocked"""

ERRORS, BLOCKED = 1, 4


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", nargs="*", metavar="MODEL", help="these models only")
    parser.add_argument("--base", metavar="REV", help="what the change is held against; in CI: the target branch")
    parser.add_argument("--revision", metavar="REV", help="the commit to comment on; default: the working tree")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the Markdown to FILE")
    parser.add_argument("--no-measure", action="store_true", help="leave out what runs measured")
    parser.add_argument("--post", action="store_true", help="create or edit the comment on GitHub")
    parser.add_argument("--pr", type=_number, metavar="N", help="the number of the pull request")
    parser.add_argument("--repo", metavar="OWNER/NAME", help="the repository of the pull request")
    parser.add_argument("--api", metavar="URL", help="the address of the API; default: that of the job, or github.com")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.comment import make_comment
    from custody.app.project import open_project
    from custody.cli.last import outcome
    from custody.cli.views import annotations, markdown
    from custody.cli.views.comment_json import to_json

    actions = Actions.of(os.environ)
    destination = _destination(args, actions) if args.post else None
    project = open_project(out.directory)
    with outcome(project.state_dir, "comment") as last:
        base = base_of(project, args, actions)
        comment = make_comment(
            project, base=base, revision=args.revision, choice=Choice(tuple(args.models)), measure=not args.no_measure
        )
        links = markdown.Links(actions.files_below(project.root, args.repo), actions.run)
        text = out.mask.text(markdown.text(comment, links))
        last.exit_code = exit_code(comment)
        last.facts = {"plan_id": comment.plan.id}
        if args.out:
            _write(args.out, text)
        summary = markdown.text(comment, markdown.Links(links.files), markdown.SUMMARY_LIMIT)
        actions.summarise(out.mask.text(summary))
        out.annotate(annotations.lines(comment))
        posted = _post(destination, text, comment, actions, out) if destination else None
    if out.json_mode:
        out.json({**to_json(comment, markdown.verdict(comment)), "posted": posted})
    elif not args.out and not destination:
        out.result(text.rstrip("\n"))
    return last.exit_code


def base_of(project: Any, args: argparse.Namespace, actions: Actions) -> str | None:
    """Return what the change is held against: what was asked for, else the branch that the pull request goes to.

    None outside of a pull request: then the change is all that the ledger does not hold yet.
    """
    from custody.app.base import target_of

    if args.base:
        return str(args.base)
    return target_of(project, actions.target) if actions.target else actions.base


def exit_code(comment: Any) -> int:
    """Return 1 where the specs have errors, 4 where a model is blocked, else 0."""
    from custody.domain.plan import Category
    from custody.domain.problem import Severity

    if any(problem.severity is Severity.ERROR for problem in comment.problems):
        return ERRORS
    return BLOCKED if any(item.change.category is Category.BLOCKED for item in comment.models) else 0


def _destination(args: argparse.Namespace, actions: Actions) -> Any:
    from custody.app.post import Destination
    from custody.errors import UsageError

    number, repository = args.pr or actions.number, args.repo or actions.repository
    if number is None or repository is None:
        missing = "--pr N" if repository else "--pr N --repo OWNER/NAME"
        raise UsageError(
            "which pull request? The job's event names none", code="E643", help=(f"custody comment --post {missing}",)
        )
    if actions.token is None:
        raise UsageError("there is no token to post with", code="E643", help=("export GITHUB_TOKEN=…",))
    return Destination(args.api or actions.api, repository, number, actions.token)


def _post(destination: Any, text: str, comment: Any, actions: Actions, out: Output) -> dict[str, Any]:
    """Post; where the token can only read, which is so for forks, say so: the summary and the file are there."""
    from custody.app.post import post_comment
    from custody.cli.views.markdown import MARKER
    from custody.host.github import ReadOnlyError

    try:
        posted = post_comment(destination, text, MARKER, create=not comment.empty)
    except ReadOnlyError as error:
        written = "the step summary holds it" if actions.summary else "custody comment --out FILE writes it to a file"
        why = "a fork's token can only read" if actions.fork else error.message
        out.say(f"No comment was posted: {why}; {written}.")
        return {"action": "refused", "url": None, "why": why}
    words = {"created": "Posted", "updated": "Updated", "unchanged": "Unchanged", "none": "Nothing to say, no comment"}
    out.say(f"{words[posted.action]}{f': {posted.url}' if posted.url else ''}.")
    return {"action": posted.action, "url": posted.url}


def _write(path: Path, text: str) -> None:
    from custody.errors import UsageError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", code="E645") from error


def _number(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of a pull request")
    return int(text)
