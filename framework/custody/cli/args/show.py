"""`custody show`: everything that is recorded of one run."""

from __future__ import annotations

import argparse

from custody.cli.output import Output

HELP = "show everything that is recorded of one run"
EXAMPLES = """\
examples:
  custody show 1a2b3c4d             a run, by the beginning of its id
  custody show churn                the run in production, else the last one
  custody show churn@v2
  custody show 1a2b3c4d --log       what its failed (else its last) step printed"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="RUN|MODEL[@STAGE|@vN]|vN", help="what to show")
    parser.add_argument("--log", nargs="?", const="", metavar="STEP", help="print the stored log of a step instead")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.project import open_project
    from custody.app.show import read_step_log, show
    from custody.cli.views import show as view

    project = open_project(out.directory)
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
