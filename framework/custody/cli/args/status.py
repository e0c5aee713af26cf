"""`custody status`: declared beside recorded."""

from __future__ import annotations

import argparse

from custody.cli.output import Output

HELP = "show for each model what is declared, what is recorded, and whether they agree"
EXAMPLES = """\
examples:
  custody status
  custody status churn --json"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", nargs="*", metavar="MODEL", help="these models only")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.project import open_project
    from custody.app.status import read_status
    from custody.cli.views import status as view

    status = read_status(open_project(out.directory), tuple(args.models))
    if out.json_mode:
        out.json(view.to_json(status))
    else:
        out.result(view.text(status))
    return 0
