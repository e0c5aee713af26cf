"""`custody status`: declared, recorded and live side by side."""

from __future__ import annotations

import argparse
import shutil

from custody.cli.output import Output

HELP = "show for each model what is declared, recorded and live, and whether they agree"
EXAMPLES = """\
examples:
  custody status                 every model and stage
  custody status churn           one model, with all that served before
  custody status --json"""


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
        out.result(view.text(status, room=shutil.get_terminal_size((120, 24)).columns, detailed=bool(args.models)))
    return 0
