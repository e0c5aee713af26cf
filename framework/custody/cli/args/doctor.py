"""`custody doctor`: is all there that custody needs."""

from __future__ import annotations

import argparse

from custody.cli.output import Output

HELP = "check this machine, this clone and its remote; a remedy for each fault"
EXAMPLES = """\
examples:
  custody doctor
  custody doctor --fix         set what is missing in this clone's Git configuration: notes in git log, git mlog

exit codes: 0 nothing failed, 1 something did"""

FAILED = 1


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fix", action="store_true", help="set git mlog, git mshow and notes.displayRef in this clone")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.doctor import Standing, doctor
    from custody.app.project import open_project
    from custody.cli.views.text import Tone, columns, one_line

    checks = doctor(open_project(out.directory), fix=args.fix)
    code = FAILED if any(check.standing is Standing.FAIL for check in checks) else 0
    if out.json_mode:
        out.json({"ok": code == 0, "checks": [check.to_dict() for check in checks]})
        return code
    tones = {Standing.OK: Tone.GOOD, Standing.NOTE: Tone.WARN, Standing.FAIL: Tone.BAD}
    rows = []
    for check in checks:
        remedy = f"  → {one_line(check.help)}" if check.help else ""
        rows.append([tones[check.standing](str(check.standing)), check.name, one_line(check.text) + remedy])
    out.result("\n".join(columns(rows)))
    return code
