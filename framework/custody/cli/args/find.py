"""`custody find`: which models match."""

from __future__ import annotations

import argparse

from custody.cli.output import Output

HELP = "find models by owner, dataset, column, purpose or state"
EXAMPLES = """\
examples:
  custody find --owner growth-ml
  custody find --dataset customers@v2 --column gender   which models use this column of this version
  custody find --state retired                          or a stage, rejected, failed, held, new, renamed, undeclared
  custody find --purpose retention --state production --json

A model is found where all that is asked for is true of it as it is declared, or as a run that serves or is its last.
No match is no failure: the exit code is 0."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--owner", metavar="OWNER", help="the team that answers for it")
    parser.add_argument("--dataset", metavar="D[@vN]", help="a dataset, or one version of it")
    parser.add_argument("--column", metavar="COLUMN", help="a column that it uses: feature, target, slice or split")
    parser.add_argument("--purpose", metavar="PURPOSE", help="what it is for")
    parser.add_argument("--state", metavar="STATE", help="a stage in which it serves, or a state such as retired")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.find import Query, find
    from custody.app.project import open_project
    from custody.cli.views import find as view

    query = Query(args.owner, args.dataset, args.column, args.purpose, args.state)
    found = find(open_project(out.directory), query)
    if out.json_mode:
        out.json(view.to_json(found))
        return 0
    if found.models:
        out.result(view.text(found))
    else:
        near = f"; did you mean {' '.join(found.near)}?" if found.near else ""
        out.say(f"None of {found.total} models matches{near}")
    if found.problem:
        out.say(f"The specs have errors, so only the record was searched: {found.problem} (custody check)")
    return 0
