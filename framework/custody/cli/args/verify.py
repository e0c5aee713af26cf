"""`custody verify`: is the record true."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from custody.cli.output import Output

HELP = "check that the record is true: chain, trees, source commits, data, bytes, versions, promotions, notes and index"
EXAMPLES = """\
examples:
  custody verify                    everything that this clone has
  custody verify churn              one model
  custody verify 1a2b3c4d           one run, by the beginning of its id
  custody verify --full             also fetch what is missing, and read the tables again

exit codes: 0 the record holds, 1 there are faults; nothing is changed but the head that this clone saw last"""

FAULTS = 1
_EVERY = 5.0
"""Seconds between two lines of progress."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", nargs="?", metavar="MODEL|RUN", help="only this model or run; the chain always whole")
    parser.add_argument("--full", action="store_true", help="fetch the ledger and missing bytes, digest tables again")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.project import open_project
    from custody.app.verify import verify
    from custody.cli.views import verify as view

    found = verify(open_project(out.directory), args.target, _progress(out), full=args.full)
    if out.json_mode:
        out.json(view.to_json(found))
    else:
        out.result(view.text(found))
    return 0 if found.ok else FAULTS


def _progress(out: Output) -> Callable[[str, int, int], None]:
    """Return what says every few seconds how far it is; nothing for what is done at once."""
    told = time.monotonic()

    def show(what: str, done: int, total: int) -> None:
        nonlocal told
        if not done % 64 and time.monotonic() - told > _EVERY:
            told = time.monotonic()
            out.say(f"verify: {done:,} of {total:,} {what}")

    return show
