"""`custody compare`: recorded runs and trials side by side."""

from __future__ import annotations

import argparse
from pathlib import Path

from custody import __version__
from custody.cli.output import Output
from custody.errors import UsageError

HELP = "put runs and trials side by side: parameters, data, code, metrics, flips"
EXAMPLES = """\
examples:
  custody compare churn@production 3f9a1b2c          a run, trial, MODEL@STAGE, MODEL@vN or vN; two to eight
  custody compare v17 v18 --html compare.html       one page, for a browser or a printer

The first one is what the others are compared with. Intervals are at 95 %, from the stored predictions, where both were
scored on the same test rows."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="RUN", help="what to compare; the others with the first")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write one page that needs nothing else")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.project import open_project
    from custody.app.side_by_side import side_by_side
    from custody.cli.views import compare as view
    from custody.cli.views.compare_page import page

    found = side_by_side(open_project(out.directory), args.runs)
    if args.html:
        _write(args.html, page(found, __version__))
    if out.json_mode:
        out.json({**view.to_json(found), "html": str(args.html) if args.html else None})
    else:
        out.result(view.text(found))
    if args.html:
        out.say(f"Written: {args.html}")
    return 0


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror or error}"
        raise UsageError(message, code="E612", help=("custody compare … --html compare.html",)) from error
