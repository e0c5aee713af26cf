"""`custody show`: everything that is recorded of one run, or where each value of a model's spec comes from."""

from __future__ import annotations

import argparse
from typing import Any

from custody.cli.output import Output

HELP = "show everything that is recorded of one run"
EXAMPLES = """\
examples:
  custody show 1a2b3c4d             a run, by the beginning of its id
  custody show churn                the run in production, else the last one
  custody show churn@v2
  custody show 1a2b3c4d --log       what its failed (else its last) step printed
  custody show churn --explain      the model's spec, each value with the file and line it comes from"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="RUN|MODEL[@STAGE|@vN]|vN", help="what to show")
    parser.add_argument("--log", nargs="?", const="", metavar="STEP", help="print the stored log of a step instead")
    parser.add_argument("--explain", action="store_true", help="show where each value of the model's spec comes from")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.project import open_project
    from custody.app.show import read_step_log, show
    from custody.cli.views import show as view

    project = open_project(out.directory)
    if args.explain:
        return _explain(project, args, out)
    found = show(project, args.target)
    if args.log is not None:
        log = read_step_log(project, found, args.log or None)
        if out.json_mode:
            out.json({"run": found.run.id, "log": log})
        else:
            out.result(log.rstrip("\n"))
    elif out.json_mode:
        out.json(view.to_json(found))
    else:
        out.result(view.text(found))
    return 0


def _explain(project: Any, args: argparse.Namespace, out: Output) -> int:
    from custody.app.show import explain_model
    from custody.cli.views import explain as view
    from custody.errors import UsageError

    if args.log is not None:
        raise UsageError("--log is of a run, --explain of a spec: give one of them")
    found = explain_model(project, args.target)
    if out.json_mode:
        out.json(view.to_json(found))
    else:
        out.result(view.text(found))
    return 0
