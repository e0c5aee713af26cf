"""`custody explain`: one prediction, why it came out so, and what is behind it."""

from __future__ import annotations

import argparse

from custody.cli.output import Output

HELP = "show one prediction: its inputs, what each added, whether it comes out again, and its chain of custody"
EXAMPLES = """\
examples:
  custody explain 019aa1f2-7c3e-7d2b-9f10-5b1e6a7c8d9e
  custody explain 019aa1f2-7c3e              the beginning of an id is enough where it is one
  custody explain 019aa1f2-7c3e --json       all inputs, numbers in full

The row is scored again with the recorded artifact: `same`, or what differs. Contributions are Shapley values against
100 training rows: exact for sums of trees, linear models and up to 8 features, else sampled, with the standard error.
Those of a classifier are of its positive class (of more than two, of the class that it answered), in log odds where
that is what it adds up.

exit codes: 0 done (also where it differs), 64 no such prediction is kept here"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prediction", metavar="PREDICTION_ID", help="its id, as predict and serve gave it")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.explain import explain, to_dict
    from custody.app.project import open_project
    from custody.cli.views import prediction as view

    found = explain(open_project(out.directory), args.prediction)
    if out.json_mode:
        out.json(to_dict(found))
    else:
        out.result(view.text(found))
    return 0
