"""`custody store`: the content that travels in Git, and its gc."""

from __future__ import annotations

import argparse
import os
from typing import Any

from custody.app.store import Collected, Usage
from custody.cli.output import Output

HELP = "show how much content travels in Git, or drop what nothing needs (gc)"
EXAMPLES = """\
examples:
  custody store
  custody store gc --dry-run      what would go, and why the rest stays
  custody store gc                drop it, recorded on the ledger in the same push

Kept is what stages, last runs, data versions, registered versions, predictions and records of the last days name. What
was dropped stays in the history of mlops/store: full clones do not shrink, those of CI (depth 1) do.

exit codes: 0 done, 1 the whole ledger is not here, 7 nothing was dropped since the push did not land"""

PARTLY = 7


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("command", nargs="?", choices=("gc",), help="drop what nothing needs")
    parser.add_argument("--dry-run", action="store_true", help="gc: change nothing")
    parser.add_argument("--days", type=int, default=30, metavar="N", help="gc: keep what records of N days name")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app import store
    from custody.app.project import open_project
    from custody.core.who import job_of

    project = open_project(out.directory, job_of(os.environ))
    if args.command is None:
        used = store.usage(project)
        out.json(_usage_json(used)) if out.json_mode else out.result(_usage_text(used))
        return 0
    timeout = 300.0 if os.environ.get("CI") else 60.0
    done = store.collect(project, days=max(0, args.days), dry_run=args.dry_run, timeout=timeout)
    out.json(_json(done)) if out.json_mode else out.result(_text(done))
    if done.commit:
        out.say(f"proof: git show {done.commit[:12]}")
        out.say(
            "undo: none is needed: what is missing is made again, and shared again with the next record that names it"
        )
    return 0 if done.done else PARTLY


def _text(done: Collected) -> str:
    from custody.cli.views.text import columns, one_line

    before, after = done.before, done.after
    verb = "would be dropped" if done.dry_run else "dropped" if done.done else "not dropped"
    rows = [["kept", f"{item.objects:,}", _size(item.size), reason] for reason, item in done.kept.items()]
    rows.append([verb, f"{done.dropped.objects:,}", _size(done.dropped.size), "nothing needs it"])
    lines = columns(rows, right=frozenset({1, 2}))
    lines.append(
        f"mlops/store: {before.objects:,} objects, {_size(before.size)} → {after.objects:,}, {_size(after.size)}"
    )
    if done.shared and not done.shared.landed:
        lines.append(f"Nothing was dropped: {one_line(done.shared.reason)}")
        lines += [f"  = help: {one_line(line)}" for line in done.shared.help]
    return "\n".join(lines)


def _usage_text(used: Usage) -> str:
    if used.branch is None:
        return f"mlops/store was not fetched; {used.local:,} objects are in this clone"
    unread = f" ({used.unknown:,} not fetched, of unknown size)" if used.unknown else ""
    there = f"mlops/store: {used.branch.objects:,} objects, {_size(used.branch.size)}{unread}"
    return f"{there}; {used.local:,} more are in this clone alone"


def _json(done: Collected) -> dict[str, Any]:
    def extent(item: Any) -> dict[str, int]:
        return {"objects": item.objects, "bytes": item.size}

    return {
        "format_version": 1,
        "dry_run": done.dry_run,
        "before": extent(done.before),
        "after": extent(done.after),
        "dropped": extent(done.dropped),
        "kept": {reason: extent(item) for reason, item in done.kept.items()},
        "commit": done.commit,
        "landed": done.done,
        "reason": done.shared.reason if done.shared else "",
    }


def _usage_json(used: Usage) -> dict[str, Any]:
    branch = {"objects": used.branch.objects, "bytes": used.branch.size} if used.branch else None
    return {"format_version": 1, "branch": branch, "unknown": used.unknown, "local": used.local}


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count / 1e3:,.1f} kB"  # noqa: PLR2004
