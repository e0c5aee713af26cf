"""`custody ack`: take an incident on."""

from __future__ import annotations

import argparse
import os

from custody.cli.output import Output

HELP = "acknowledge an incident: somebody is at it, so it is not said again"
EXAMPLES = """\
examples:
  custody ack 3f2a9c1b
  custody ack 3f2a9c1b --until 8h --reason "the feed is being mended"
  custody ack 3f2a9c1b --off           hand it back: it is said again

It is said again where its level rises, or after --until. What it measures goes on being recorded.

exit codes: 0 done, 7 recorded here and not shared yet, 64 no such open incident"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("incident", metavar="ID", help="an incident's id or the beginning of it")
    parser.add_argument("--until", metavar="WHEN", help="2026-12-01, or a span from now such as 8h or 7d")
    parser.add_argument("--reason", metavar="TEXT", default="", help="for everybody who reads the ledger")
    parser.add_argument("--off", action="store_true", help="end the acknowledgement")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.flag import acknowledge
    from custody.app.project import open_project
    from custody.cli.views.flag import show
    from custody.core.who import job_of

    project = open_project(out.directory, job_of(os.environ))
    done = acknowledge(project, args.incident, args.until, args.reason, off=args.off)
    word = "Handed back" if args.off else "Acknowledged"
    undo = f"custody ack {done.flag.match}{'' if args.off else ' --off'}"
    return show(done, word, undo, out)
