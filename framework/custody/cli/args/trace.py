"""`custody trace`: the chain of custody."""

from __future__ import annotations

import argparse

from custody.cli.output import Output

HELP = "show the chain of custody of a model: people, code, data, parameters, gates, each with its proof in Git"
EXAMPLES = """\
examples:
  custody trace churn               what is in production (else the last run)
  custody trace churn@v2
  custody trace 1a2b3c4d            a run, by the beginning of its id
  custody trace 9f31c2e             a commit: everything that came of it"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="MODEL[@STAGE|@vN]|RUN|COMMIT", help="what to trace")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.project import open_project
    from custody.app.trace import trace
    from custody.cli.views import trace as view

    found = trace(open_project(out.directory), args.target)
    if out.json_mode:
        out.json(found.to_dict())
    else:
        out.result(view.text(found))
    return 0
