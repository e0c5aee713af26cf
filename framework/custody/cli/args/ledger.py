"""`custody ledger`: care for the ledger's projections."""

from __future__ import annotations

import argparse

from custody.cli.output import Output

HELP = "make the ledger's index and notes again from its records"
EXAMPLES = """\
examples:
  custody ledger repair             index and notes follow from the records; the records are never touched

Undo: none is needed. The former notes are the parent of the new ones: git log refs/notes/mlops"""


def configure(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    description = "Make index and notes again from the records. README.md of the branch is made again by each decision."
    commands.add_parser("repair", help="make index and notes again from the records", description=description)


def run(args: argparse.Namespace, out: Output) -> int:  # noqa: ARG001 - there is one command so far
    from custody.app.project import open_project
    from custody.app.repair import repair

    done = repair(open_project(out.directory))
    if out.json_mode:
        out.json({"ledger_head": done.head, "notes": done.notes})
    elif done.head is None:
        out.result("Nothing is recorded yet.")
    else:
        notes = f"notes made again ({done.notes[:7]})" if done.notes else "notes were right"
        out.result(f"Index made again, {notes}; both follow the ledger at {done.head[:7]}.")
    return 0
