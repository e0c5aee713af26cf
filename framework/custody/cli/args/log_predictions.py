"""`custody log-predictions`: record the predictions that another server made."""

from __future__ import annotations

import argparse
import os

from custody.app.log_predictions import Logged
from custody.cli.args.predict import PARTLY, batches_json, shared_json, tell
from custody.cli.output import Output

HELP = "record predictions that another server made, each once"
EXAMPLES = """\
examples:
  custody log-predictions churn yesterday.jsonl
  custody log-predictions churn yesterday.parquet --version v17

The file (.jsonl .csv .parquet) has the columns id, time and prediction, and version or run unless --version says it. It
may have probability.CLASS, the key and the features. Other columns, and personal ones, are left out. Giving a file
again records nothing twice; an id that is recorded with other values is refused.

exit codes: 0 done, 1 the rows do not fit, 7 recorded here and not shared yet, 64 no such model or version"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--version", metavar="vN", help="what made them, where the file does not say")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.log_predictions import log_predictions
    from custody.app.project import open_project
    from custody.core.who import job_of

    project = open_project(out.directory, job_of(os.environ))
    return _shown(log_predictions(project, args.model, out.directory / args.file, args.version), args.file, out)


def _shown(done: Logged, shown: str, out: Output) -> int:
    code = 0 if done.shared.landed else PARTLY
    if out.json_mode:
        facts = {"model": done.model, "rows": done.rows, "skipped": done.skipped, "dropped": list(done.dropped)}
        facts |= {"unseen": list(done.unseen), "batches": batches_json(done.batches)}
        out.json(facts | shared_json(done.shared))
        return code
    new = done.rows - done.skipped
    again = f", {done.skipped:,} were recorded already" if done.skipped else ""
    out.result(f"{shown}: {new:,} predictions of {done.model} recorded{again}")
    tell(done.batches, done.shared, out)
    if done.dropped:
        out.say(f"Left out: {', '.join(done.dropped)}")
    if done.unseen:
        out.say(f"Doubles were not looked for in {len(done.unseen)} batches whose content is not here.")
    return code
