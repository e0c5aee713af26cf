"""`custody incident`: what is wrong now, one incident on one screen, and the messages about them."""

from __future__ import annotations

import argparse
import os

from custody.app.outbox import Delivery
from custody.cli.output import Output

HELP = "what is wrong in production: open incidents, or one on one screen; deliver sends what waits"
EXAMPLES = """\
examples:
  custody incident                     those that are open
  custody incident --all               those that are over too
  custody incident 3f2a9c1b            what, since when, how bad, whose, what changed, and what to type
  custody incident deliver             send messages that are due; every sweep of monitors does, too
  custody incident deliver --again     those that were given up too

Secrets of channels come from the variables that .mlops/config.yaml names (env:NAME).

exit codes: 0 done, 1 a message was not delivered, 7 delivered and not shared yet, 64 no such incident"""

DELIVER = "deliver"
FAILED, NOT_SHARED = 1, 7


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "incident", nargs="?", metavar="ID", help="an incident's id or the beginning of it; or `deliver`"
    )
    parser.add_argument("--all", action="store_true", help="list those that are over too")
    parser.add_argument("--again", action="store_true", help="with deliver: send also what was given up")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.project import open_project
    from custody.core.who import job_of

    project = open_project(out.directory, job_of(os.environ))
    if args.incident == DELIVER:
        from custody.app.outbox import deliver_now

        return _delivered(deliver_now(project, os.environ, again=args.again), out)
    from custody.app.branch import require_ledger
    from custody.app.incident_files import recorded_incidents
    from custody.app.story import show, shown
    from custody.cli.views import incident as view

    require_ledger(project)
    if args.incident:
        found = shown(project, args.incident)
        if out.json_mode:
            out.json(found.to_dict())
        else:
            out.result(view.screen_text(found))
        return 0
    every = recorded_incidents(project.ledger.files)
    listed = [show(project, item) for item in every if args.all or item.firing]
    if out.json_mode:
        out.json([item.to_dict() for item in listed])
    else:
        out.result(view.table(listed, len(every)))
    return 0


def _delivered(done: Delivery, out: Output) -> int:
    from custody.cli.views import incident as view

    code = FAILED if done.failed or done.dead else NOT_SHARED if done.unshared else 0
    if out.json_mode:
        out.json(view.delivery_json(done))
        return code
    out.result(view.delivery_text(done))
    if done.unshared:
        out.complain(f"Not shared yet: {done.unshared}. What arrived is recorded here and lands with the next share.")
        out.complain("   = help: custody sync")
    return code
