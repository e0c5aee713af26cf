"""`custody postmortem`: the draft of a post-mortem, from the record."""

from __future__ import annotations

import argparse

from custody.cli.output import Output

HELP = "draft a post-mortem of an incident from the record, as Markdown"
EXAMPLES = """\
examples:
  custody postmortem 3f2a9c1b > docs/2026-11-churn.md

What was seen, what changed and what did not, and what happened when; why it happened is for people to write.

exit codes: 0 done, 64 no such incident"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("incident", metavar="ID", help="an incident's id or the beginning of it")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.branch import require_ledger
    from custody.app.project import open_project
    from custody.app.story import happenings, postmortem, shown

    project = open_project(out.directory)
    require_ledger(project)
    if out.json_mode:
        found = shown(project, args.incident)
        story = [item.to_dict() for item in happenings(project, found.incident)]
        out.json({"incident": found.to_dict(), "story": story})
    else:
        out.result(postmortem(project, args.incident).rstrip("\n"))
    return 0
