"""`custody promote`: point a stage to a version that passed its gates, by an edit of the spec."""

from __future__ import annotations

import argparse
import os

from custody.app.promote import Promotion
from custody.cli.output import Output
from custody.cli.views.stage_edit import show_edit
from custody.errors import UsageError

HELP = "point a stage to a version that passed its gates: edits the spec"
EXAMPLES = """\
examples:
  custody promote churn                     production to the newest version; commit, then apply
  custody promote churn canary --to v17
  custody promote churn --run 1a2b3c4d      pin a run instead of a version
  custody promote churn --to auto           the run of the spec as it stands, once it passed
  custody promote churn canary --to none    empty the stage

exit codes: 0 done, 4 it did not pass its gates, or the stage is held, 64 no such model, version or run"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("stage", nargs="?", default="production", metavar="STAGE", help="default: production")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--to", metavar="VERSION", help="a version, `auto` or `none` (default: the newest version)")
    which.add_argument("--run", metavar="RUN", help="a run: its id, or the beginning of it")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.project import open_project
    from custody.app.promote import promote
    from custody.core.who import job_of

    if args.to == "" or args.run == "":
        raise UsageError("--to and --run need a version or a run", code="E640", help=("custody promote --help",))
    project = open_project(out.directory, job_of(os.environ))
    done = promote(project, args.model, args.stage, args.run.lower() if args.run else args.to)
    if out.json_mode:
        out.json(_json(done))
        return 0
    points, means = f"{done.stage} to {done.to}", done.version or done.to
    subject = f"Point {done.stage} of {done.model} to {means}"
    show_edit(out, done.edit, done.model, points, subject)
    if done.added:
        out.say(f"note: {done.stage} is a new stage of {done.model}")
    return 0


def _json(done: Promotion) -> dict[str, object]:
    return {
        "model": done.model,
        "stage": done.stage,
        "before": done.before,
        "to": done.to,
        "version": done.version,
        "run": done.run,
        "path": done.edit.path,
        "diff": done.edit.diff,
        "added": done.added,
    }
