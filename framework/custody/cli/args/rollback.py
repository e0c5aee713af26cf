"""`custody rollback`: point a stage back to an earlier version, by an edit of the spec or at once by a hold."""

from __future__ import annotations

import argparse
import os
import shlex
from dataclasses import asdict
from typing import Any

from custody.app.confirm import Confirmations
from custody.app.project import Project
from custody.app.rollback import Released, Rollback
from custody.cli.output import Output
from custody.cli.views.stage_edit import show_edit
from custody.errors import UsageError

HELP = "point a stage back to an earlier version: edits the spec; --now holds it at once"
EXAMPLES = """\
examples:
  custody rollback churn                                  edit models/churn/model.yaml; commit, then apply
  custody rollback churn --to v16 --stage canary
  custody rollback churn --now --reason "wrong labels"    record a hold at once: production goes back, nothing is
                                                          promoted until the hold ends, servers confirm it
  custody rollback churn --release 1a2b3c4d               end a hold; the next apply does what the specs say

A hold ends when it is released, or when apply finds the stage pinned in the spec to the version that it is held at.

exit codes: 0 done, 4 refused, 7 the hold is recorded and not shared yet, or a server did not confirm it,
64 no such model, version or hold"""

PARTLY = 7


WAIT, LONGEST = 30.0, 3600.0


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--to", metavar="VERSION", help="a version or run (default: the version before)")
    parser.add_argument("--stage", default="production", metavar="STAGE", help="default: production")
    parser.add_argument("--now", action="store_true", help="hold the stage on the ledger first; needs --reason")
    parser.add_argument("--reason", metavar="TEXT", help="why, for everybody who reads the ledger")
    parser.add_argument(
        "--wait", type=float, default=WAIT, metavar="SECONDS", help="for servers to confirm (default: 30)"
    )
    parser.add_argument("--no-wait", action="store_true", help="ask no server")
    parser.add_argument("--release", metavar="HOLD", help="end this hold: its id, or the beginning of it")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app import rollback
    from custody.app.project import open_project
    from custody.core.who import job_of

    _consistent(args)
    project = open_project(out.directory, job_of(os.environ))
    if args.release:
        return _released(rollback.release(project, args.model, args.release.lower(), args.stage), out)
    if args.now:
        done = rollback.hold(project, args.model, args.to, args.stage, args.reason)
        return _held(done, _confirmed(project, done, args), out)
    return _edited(rollback.edit_spec(project, args.model, args.to, args.stage), out)


def _consistent(args: argparse.Namespace) -> None:
    if args.release and (args.now or args.to or args.reason):
        raise UsageError("--release stands alone", code="E640", help=("custody rollback --help",))
    if args.now and not args.reason:
        command = f'custody rollback {shlex.quote(args.model)} --now --reason "…"'
        raise UsageError("--now needs a reason, for everybody who reads the ledger", code="E640", help=(command,))
    if (args.no_wait or args.wait != WAIT) and not args.now:
        raise UsageError("--wait and --no-wait belong to --now", code="E640", help=("custody rollback --help",))
    if not 0 <= args.wait <= LONGEST:
        raise UsageError("--wait is 0 to 3600 seconds", code="E640", help=("custody rollback --help",))
    if args.reason and not args.now:
        raise UsageError("--reason belongs to --now; without it the commit says why", code="E640", help=("git commit",))


def _edited(done: Rollback, out: Output) -> int:
    if out.json_mode:
        out.json(_json(done))
        return 0
    subject = f"Roll {done.model} back to {done.version}"
    show_edit(out, done.edit, done.model, f"{done.stage} to {done.version}", subject)
    return 0


def _confirmed(project: Project, done: Rollback, args: argparse.Namespace) -> Confirmations:
    """Wait for the servers, where there is something to wait for; what is held is recorded whatever they say."""
    from custody.app.confirm import Confirmations, await_servers

    if args.no_wait:
        return Confirmations()
    return await_servers(project, project.ledger.model(done.model), done.stage, args.wait)


def _held(done: Rollback, servers: Confirmations, out: Output) -> int:
    code = 0 if done.shared and servers.complete else PARTLY
    if out.json_mode:
        asked = [asdict(item) for item in servers.asked]
        out.json(_json(done) | {"servers": asked, "unasked": list(servers.unasked)})
        return code
    held = str(done.held.record if done.held else "")[:8]
    where = f"{done.stage} of {done.model}"
    if done.moved:
        out.result(f"Held {held}: {where} is {done.version} now (was {done.before or 'nothing'}).")
    else:
        out.result(f"Held {held}: nothing is promoted to {where}; it points to another run than when this was asked.")
    _show_servers(done, servers, out)
    if not done.shared:
        out.complain(f"Not shared yet: {done.unshared}. The hold is safe here and lands with the next share.")
        out.complain("   = help: custody sync")
    if done.edit.diff:
        out.result("\nThis edit makes it last:\n\n" + done.edit.diff.rstrip("\n"))
        out.say(f"next: custody rollback {done.model} --to {done.version}{_stage(done.stage)}   makes the edit")
    out.say(f"undo: custody rollback {done.model} --release {held}{_stage(done.stage)}")
    return code


def _show_servers(done: Rollback, servers: Confirmations, out: Output) -> None:
    for item in servers.asked:
        place = item.address if item.where == item.address else f"{item.where} ({item.address})"
        if item.confirmed:
            out.result(f"  {place} answers with {item.version or 'nothing'} since {item.seconds:.1f} s.")
            continue
        said = f"does not answer: {item.error}" if item.error else f"still answers with {item.version}"
        out.complain(f"  {place} {said}, after {item.seconds:.0f} s.")
        out.complain(f"   = help: curl -s {shlex.quote(item.address)}/version")
    if servers.unasked:
        places = ", ".join(servers.unasked)
        out.say(f"  not asked, since they have no address here: {places} (custody status {done.model})")


def _released(done: Released, out: Output) -> int:
    if out.json_mode:
        holds = [_hold_json(item) for item in done.holds]
        value = {"model": done.model, "stage": done.stage, "released": holds, "version": done.version}
        out.json(value | {"commit": done.commit})
        return 0
    named = ", ".join(item.record[:8] for item in done.holds)
    out.result(
        f"Released {named}: {done.stage} of {done.model} stays {done.version or 'nothing'} until the next apply."
    )
    out.say(f"next: custody plan {done.model}   shows what the specs say")
    out.say(f'undo: custody rollback {done.model} --now --reason "…"{_stage(done.stage)}')
    return 0


def _json(done: Rollback) -> dict[str, Any]:
    return {
        "model": done.model,
        "stage": done.stage,
        "before": done.before,
        "version": done.version,
        "run": done.run,
        "path": done.edit.path,
        "diff": done.edit.diff,
        "hold": _hold_json(done.held) if done.held else None,
        "commit": done.commit,
        "moved": done.moved,
        "shared": done.shared,
        "unshared": done.unshared or None,
    }


def _hold_json(item: Any) -> dict[str, Any]:
    names = {"record": "record", "stage": "stage", "from": "from_", "to": "to", "reason": "reason", "by": "by"}
    return {name: getattr(item, field) for name, field in names.items()} | {"at": item.at}


def _stage(stage: str) -> str:
    return "" if stage == "production" else f" --stage {stage}"
