"""`custody log`: the records of the ledger."""

from __future__ import annotations

import argparse

from custody.cli.output import Output

HELP = "list the records of the ledger, newest first"
EXAMPLES = """\
examples:
  custody log                  the last 20 records
  custody log churn -n 0       all of one model
  custody log --trials         what was tried
without custody: git log mlops/ledger"""

SHOWN = 20


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", nargs="?", metavar="MODEL", help="the records of this model only")
    parser.add_argument("-n", type=_count, default=SHOWN, metavar="N", help="at most N records, 0 for all (default 20)")
    parser.add_argument("--trials", action="store_true", help="the records of custody try instead")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.log import read_log
    from custody.app.project import open_project
    from custody.cli.views import log as view

    limit = args.n + 1 if args.n else None
    entries = read_log(open_project(out.directory), args.model, limit, trials=args.trials)
    shown = entries[: args.n or None]
    if out.json_mode:
        out.json(view.to_json(shown))
        return 0
    out.result(view.text(shown))
    if len(entries) > len(shown):
        told = [*([args.model] if args.model else []), *(["--trials"] if args.trials else [])]
        out.say(f"More: {' '.join(['custody log', *told, '-n 0'])}")
    return 0


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no count, such as 20")
    return int(text)
