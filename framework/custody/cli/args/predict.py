"""`custody predict`: score a file with the promoted artifact; every prediction is kept and recorded."""

from __future__ import annotations

import argparse
import os
from typing import Any

from custody.app.predict import Predicted
from custody.app.sealing import Sealed
from custody.cli.output import Output
from custody.domain.batch import Batch
from custody.domain.ports import Shared
from custody.errors import UsageError

HELP = "score a file with the promoted artifact; each prediction gets an id and is recorded"
EXAMPLES = """\
examples:
  custody predict churn --data today.csv --out scores.csv          what `production` points to
  custody predict churn@canary --data today.parquet --out scores.parquet
  custody predict churn@v17 --data day.jsonl --out scores.jsonl --time at   the rows are of the times in that column
  custody predict --seal                                           seal what servers left in the journal

Formats are told by the suffix: .csv .jsonl .parquet. OUT gets id, time, the key, prediction and probabilities, in the
order of the rows. The batch (these and the features, nothing personal) is in the content store, its digest on the
ledger, before OUT appears.

exit codes: 0 done, 1 the rows do not fit, 7 recorded here and not shared yet, 64 no such model or version"""

PARTLY = 7


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL[@STAGE|@vN]", nargs="?")
    parser.add_argument("--data", metavar="IN", help="the rows, with a column for each feature")
    parser.add_argument("--out", metavar="OUT", help="a new file for the predictions")
    parser.add_argument("--time", metavar="COLUMN", help="a column of IN that says when each row was (default: now)")
    parser.add_argument("--seal", action="store_true", help="record what is left in the journal instead")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.predict import predict
    from custody.app.project import open_project
    from custody.app.sealing import seal
    from custody.core.who import job_of

    _consistent(args)
    project = open_project(out.directory, job_of(os.environ))
    if args.seal:
        return _sealed(seal(project, [args.model] if args.model else None), project.ledger.share(), out)
    done = predict(project, args.model, out.directory / args.data, out.directory / args.out, args.time)
    return _predicted(done, args.out, out)


def _consistent(args: argparse.Namespace) -> None:
    given = [name for name in ("data", "out", "time") if getattr(args, name)]
    if args.seal and given:
        raise UsageError(f"--seal takes no --{given[0]}", code="E640", help=("custody predict --help",))
    if not args.seal and not (args.model and args.data and args.out):
        message = "predict needs a model, --data and --out"
        raise UsageError(message, code="E640", help=("custody predict churn --data today.csv --out scores.csv",))


def _predicted(done: Predicted, shown: str, out: Output) -> int:
    code = 0 if done.shared.landed else PARTLY
    if out.json_mode:
        promoted = done.promoted
        value = {name: getattr(promoted, name) for name in ("model", "version", "run", "artifact")}
        facts = {"rows": done.rows, "out": shown, "batches": batches_json(done.batches)}
        out.json(value | facts | shared_json(done.shared))
        return code
    out.result(f"{shown}: {done.rows:,} predictions of {done.promoted.model} {done.promoted.version}")
    tell(done.batches, done.shared, out)
    return code


def _sealed(done: Sealed, shared: Shared, out: Output) -> int:
    code = 0 if shared.landed else PARTLY
    if out.json_mode:
        damaged = [str(path) for path in done.damaged]
        out.json({"batches": batches_json(done.batches), "damaged": damaged} | shared_json(shared))
        return code
    if not done.batches:
        out.result("Nothing to seal: no journal holds predictions that nobody writes to.")
    for batch in done.batches:
        out.result(f"{batch.model} {batch.version}: {batch.rows:,} predictions, {batch.first} to {batch.last}")
    tell(done.batches, shared, out)
    for path in done.damaged:
        out.complain(f"A part of {path} cannot be read; it was kept: its other predictions are sealed.")
    return code


def tell(batches: tuple[Batch, ...], shared: Shared, out: Output) -> None:
    """Show which batches are recorded, and what of it is here only."""
    for batch in batches:
        out.result(f"  batch {batch.id}  {batch.rows:,} rows  sha256:{batch.content}  root {batch.root}")
    for line in shared.left_out:
        out.say(line)
    if not shared.landed:
        out.complain(f"Not shared yet: {shared.reason}. The record is safe here and lands with the next share.")
        out.complain("   = help: custody sync")


def batches_json(batches: tuple[Batch, ...]) -> list[dict[str, Any]]:
    """Return batches as JSON has them."""
    return [batch.to_dict() for batch in batches]


def shared_json(shared: Shared) -> dict[str, Any]:
    """Return whether all is shared, as JSON has it."""
    return {"shared": shared.landed, "unshared": shared.reason or None}
