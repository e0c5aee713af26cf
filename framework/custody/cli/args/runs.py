"""`custody runs`: the runs and trials that a condition finds."""

from __future__ import annotations

import argparse

from custody.cli.output import Output

HELP = "find runs and trials by metrics, parameters, data, version, time"
EXAMPLES = """\
examples:
  custody runs churn
  custody runs --where 'roc_auc > 0.8 and train.max_depth = 6' --sort roc_auc
  custody runs --where "stage = production or (status = rejected and when >= -7d)"
  custody runs --where "data = customers@v3 and not (model in (churn, risk))" --limit 0

names: metrics; train.…, prepare.…, seed; run kind model status category version stage when started finished seconds
  data dataset digest gates gates.passed gates.failed code artifact actor branch; kind is run or trial
values: numbers, true, false, texts (quoted where they hold blanks), 2026-10-01 (the whole day), -7d (7 days ago)
comparisons: = != < <= > >= in (…) like '%…%', is null; and, or, not, parentheses; what a run doesn't have, such as
  its roc_auc after it failed, matches `is null` alone"""

SHOWN = 20


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", nargs="?", metavar="MODEL", help="the runs of this model only")
    parser.add_argument("--where", metavar="CONDITION", help="the runs that the condition is true of")
    parser.add_argument(
        "--sort", metavar="NAME", help="a metric (best first), parameter or field; default newest first"
    )
    order = parser.add_mutually_exclusive_group()
    order.add_argument("-r", "--desc", action="store_true", help="greatest first")
    order.add_argument("--asc", action="store_true", help="least first")
    parser.add_argument(
        "-n", "--limit", type=_count, default=SHOWN, metavar="N", help=f"at most N, 0 for all (default {SHOWN})"
    )
    parser.add_argument("--trials", action="store_true", help="trials only")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.project import open_project
    from custody.app.runs import RunsOptions, list_runs
    from custody.cli.views import runs as view
    from custody.domain.search import Order

    order = Order.DESCENDING if args.desc else Order.ASCENDING if args.asc else Order.BEST
    options = RunsOptions(args.model, args.where, args.sort, order, args.limit or None, args.trials)
    found = list_runs(open_project(out.directory), options)
    if out.json_mode:
        out.json(view.to_json(found))
        return 0
    out.result(view.text(found))
    if found.more:
        out.say(f"More: the first {len(found.rows)} are shown; --limit 0 shows all")
    if not found.complete:
        out.say("This clone is shallow and may not have older runs: git fetch --unshallow")
    return 0


def _count(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"{text!r} is no count, such as 20")
    return int(text)
