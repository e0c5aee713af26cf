"""`custody log`: the records of the ledger."""

from __future__ import annotations

import argparse

from custody.cli.output import Output

HELP = "list the records of the ledger, newest first"
EXAMPLES = """\
examples:
  custody log                  the last 20 records
  custody log churn -n 0       all of one model
without custody: git log mlops/ledger"""

SHOWN = 20


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", nargs="?", metavar="MODEL", help="the records of this model only")
    parser.add_argument("-n", type=_count, default=SHOWN, metavar="N", help="at most N records, 0 for all (default 20)")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.log import read_log
    from custody.app.project import open_project
    from custody.cli.views import log as view

    entries = read_log(open_project(out.directory), args.model, args.n + 1 if args.n else None)
    shown = entries[: args.n or None]
    if out.json_mode:
        out.json(view.to_json(shown))
        return 0
    out.result(view.text(shown))
    if len(entries) > len(shown):
        out.say(f"More: custody log {args.model + ' ' if args.model else ''}-n 0")
    return 0


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no count, such as 20")
    return int(text)
