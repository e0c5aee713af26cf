"""`custody sync`: share the ledger by hand."""

from __future__ import annotations

import argparse
import os
from typing import Any

from custody.app.sync import Synced
from custody.cli.output import Output

HELP = "share the ledger: fetch what others recorded, push what is only here"
EXAMPLES = """\
examples:
  custody sync
  custody sync --json

exit codes: 0 all is shared, 1 the shared ledger was rewritten, 7 something is here only, 64 no remote is configured"""

PARTLY = 7


def configure(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults()


def run(args: argparse.Namespace, out: Output) -> int:  # noqa: ARG001 - every verb is called alike
    from custody.app.project import open_project
    from custody.app.sync import sync
    from custody.core.who import job_of

    project = open_project(out.directory, job_of(os.environ))
    synced = sync(project, 300.0 if os.environ.get("CI") else 60.0)
    code = 0 if synced.done else PARTLY
    if out.json_mode:
        out.json(_json(synced, code))
    else:
        out.result(_text(synced))
    return code


def _text(synced: Synced) -> str:
    from custody.cli.views.text import one_line, plural

    lines = [
        f"Landed on {one_line(synced.remote)}: {one_line(entry.subject)} ({entry.commit[:7]})"
        for entry in synced.landed
    ]
    if synced.others:
        lines.append(f"Others landed {plural(synced.others, 'record')} since the last sync.")
    lines += [f"Here only: {one_line(entry.subject)} ({entry.commit[:7]})" for entry in synced.left]
    if synced.reason:
        lines.append(f"{'Why' if synced.left or synced.help else 'Note'}: {one_line(synced.reason)}")
    lines += [f"  {one_line(line)}" for line in synced.help]
    lines += [one_line(line) for line in synced.left_out]
    if not lines:
        lines.append("Nothing to share, and nothing new.")
    head = f" Ledger at {synced.head[:7]}." if synced.head else ""
    lines.append(("All is shared." if synced.done else "Nothing is lost while this clone is kept.") + head)
    return "\n".join(lines)


def _json(synced: Synced, code: int) -> dict[str, Any]:
    def entries(found: tuple[Any, ...]) -> list[dict[str, str]]:
        return [{"record": entry.id, "commit": entry.commit, "subject": entry.subject} for entry in found]

    return {
        "format_version": 1,
        "remote": synced.remote,
        "exit_code": code,
        "pending": entries(synced.pending),
        "landed": entries(synced.landed),
        "left": entries(synced.left),
        "others": synced.others,
        "ledger_head": synced.head,
        "reason": synced.reason,
        "left_out": list(synced.left_out),
        "help": list(synced.help),
    }
