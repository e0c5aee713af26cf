"""`custody silence`: send no message about what is known, until a date."""

from __future__ import annotations

import argparse
import os
import shlex

from custody.cli.output import Output

HELP = "send no message about what is known, for 30 days at most; it is judged and recorded as before"
EXAMPLES = """\
examples:
  custody silence 'churn|drift|plan' --until 7d --reason "the new tariff, known"
  custody silence churn --until 2026-12-01 --reason "migration"
  custody silence '*|freshness' --until 8h --reason "the feed is down, they are at it"
  custody silence 3f2a9c1b --until 2d --reason "mended on Monday"
  custody silence 'churn|drift|plan' --off

MATCH is an incident, or MODEL|MONITOR|COLUMN|METRIC with * for any part; what is left out is any.

exit codes: 0 done, 7 recorded here and not shared yet, 64 it matches nothing known, or has no end or reason"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("match", metavar="MATCH")
    parser.add_argument("--until", metavar="WHEN", help="2026-12-01, or a span from now such as 8h or 7d")
    parser.add_argument("--reason", metavar="TEXT", default="", help="for everybody who reads the ledger")
    parser.add_argument("--off", action="store_true", help="end the silence")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.flag import silence
    from custody.app.project import open_project
    from custody.cli.views.flag import show
    from custody.core.who import job_of

    project = open_project(out.directory, job_of(os.environ))
    done = silence(project, args.match, args.until, args.reason, off=args.off)
    match = shlex.quote(done.flag.match)
    again = f'custody silence {match} --until 7d --reason "…"'
    return show(
        done,
        "Ended the silence" if args.off else "Silenced",
        again if args.off else f"custody silence {match} --off",
        out,
    )
