"""`custody check`: whether the specs are sound."""

from __future__ import annotations

import argparse
from pathlib import Path

from custody.app.check import Checked
from custody.cli.output import Output

HELP = "check the specs: values, names, parameters and references, without running anything"
EXAMPLES = """\
examples:
  custody check
  custody check models/churn              what is at or below a path
  custody check --json

exit codes: 0 sound (also with warnings), 1 errors"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="*", metavar="PATH", type=Path, help="files or folders (default: everything)")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.check import check
    from custody.app.project import open_project

    checked = check(open_project(out.directory), [out.directory / path for path in args.paths])
    if out.json_mode:
        out.json(_to_json(checked))
    else:
        out.problems(checked.problems)
        if not checked.errors:
            out.result("\n".join((*(f"{sight.place}  {sight.text}" for sight in checked.sights), _summary(checked))))
    return 1 if checked.errors else 0


def _summary(checked: Checked) -> str:
    from custody.cli.views.text import plural

    sound = f"{plural(checked.models, 'model')}, {plural(checked.datasets, 'dataset')}"
    return f"ok: {sound}" + (f", {plural(checked.warnings, 'warning')}" if checked.warnings else "")


def _to_json(checked: Checked) -> dict[str, object]:
    return {
        "ok": not checked.errors,
        "models": checked.models,
        "datasets": checked.datasets,
        "errors": checked.errors,
        "warnings": checked.warnings,
        "problems": [problem.to_dict() for problem in checked.problems],
        "limits": [
            {"place": str(item.place), "text": item.text, "fired": item.fired, "of": item.of} for item in checked.sights
        ],
    }
