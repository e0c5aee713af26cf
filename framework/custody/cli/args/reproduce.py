"""`custody reproduce`: make a run again and compare."""

from __future__ import annotations

import argparse
from threading import Event as Cancel

from custody.cli.output import Output

HELP = "make a recorded run again from its commit and data, and say whether the same comes out"
EXAMPLES = """\
examples:
  custody reproduce churn               what is in production (else the last run)
  custody reproduce churn@v2
  custody reproduce 1a2b3c4d            a run or a trial, by the beginning of its id
  custody reproduce churn --engine prefect

exit codes: 0 identical, or equal within 1e-9; 1 different, failed, or the data are gone; nothing is recorded"""

DIFFERENT = 1


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="MODEL[@STAGE|@vN]|RUN", help="the run to make again")
    parser.add_argument("--engine", choices=("inline", "prefect"), default="inline", help="what runs the steps")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.project import open_project
    from custody.app.reproduce import reproduce
    from custody.cli.args.apply import interruptible
    from custody.cli.live import shown
    from custody.cli.views import reproduce as view

    cancel = Cancel()
    with interruptible(cancel), shown(out) as progress:
        done = reproduce(open_project(out.directory), args.target, args.engine, progress, cancel)
    if out.json_mode:
        out.json(view.to_json(done))
    else:
        out.result(view.text(done))
    return 0 if done.ok else DIFFERENT
