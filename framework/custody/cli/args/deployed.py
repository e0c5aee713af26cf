"""`custody deployed`: record what really runs somewhere."""

from __future__ import annotations

import argparse
import os
import shlex
from typing import Any

from custody.app.deployed import Deployment
from custody.cli.output import Output

HELP = "record which version really runs at a place; status compares it with the stage"
EXAMPLES = """\
examples:
  custody deployed churn v17 --where eu-cluster
  custody deployed churn v18 --where eu-cluster --stage canary --note "10 % of requests"
  custody deployed churn v17 --where eu-cluster --artifact "sha256:$(sha256sum model.skops | cut -c1-64)"
  custody deployed churn none --where eu-cluster        nothing runs there any more

It is a fact, for the end of a deployment script: it moves no stage, and what is recorded already is not recorded again.

exit codes: 0 done, 4 the artifact is not that of the version, 7 recorded here and not shared yet,
64 no such model or version"""

NOT_SHARED = 7


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("version", metavar="VERSION", help="such as v17; `none` where nothing runs any more")
    parser.add_argument(
        "--where", required=True, metavar="PLACE", help="a name of yours: a cluster, a service, a device"
    )
    parser.add_argument(
        "--stage", default="production", metavar="STAGE", help="what it serves as (default: production)"
    )
    parser.add_argument("--artifact", metavar="DIGEST", help="sha256:… of the file there; must be that of the version")
    parser.add_argument("--note", metavar="TEXT", help="for everybody who reads the ledger")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.deployed import Told, deployed
    from custody.app.project import open_project
    from custody.core.who import job_of

    project = open_project(out.directory, job_of(os.environ))
    done = deployed(project, args.model, Told(args.version, args.where, args.stage, args.artifact, args.note))
    code = 0 if done.shared else NOT_SHARED
    if out.json_mode:
        out.json(_json(done))
        return code
    out.result(_words(done))
    if not done.shared:
        out.complain(f"Not shared yet: {done.unshared}. The fact is safe here and lands with the next share.")
        out.complain("   = help: custody sync")
    if done.commit:
        before = done.before.version if done.before else "none"
        out.say(f"undo: {_command(done, before)}   (a later fact; the first one stays on the record)")
    return code


def _words(done: Deployment) -> str:
    place = f"{done.told.stage} of {done.model} at {done.told.where}"
    if done.item is None:
        return f"Recorded: {place} is nothing now (was {done.before.version if done.before else 'nothing'})."
    if done.commit is None:
        return f"{place} is {done.item.version} already, by {done.item.by} on {done.item.at}"
    was = f" (was {done.before.version})" if done.before else ""
    stage = f"{done.told.stage} points to {done.declared or 'nothing'}"
    return f"Recorded: {place} is {done.item.version} now{was}; {stage}: {done.standing}."


def _command(done: Deployment, version: str) -> str:
    stage = "" if done.told.stage == "production" else f" --stage {done.told.stage}"
    return f"custody deployed {shlex.quote(done.model)} {version} --where {shlex.quote(done.told.where)}{stage}"


def _json(done: Deployment) -> dict[str, Any]:
    item = done.item
    return {
        "model": done.model,
        "where": done.told.where,
        "stage": done.told.stage,
        "version": item.version if item else None,
        "run": item.run if item else None,
        "artifact": item.artifact if item else None,
        "note": item.remark if item else None,
        "by": item.by if item else None,
        "at": item.at if item else None,
        "before": done.before.version if done.before else None,
        "standing": str(done.standing) if done.standing else None,
        "declared": done.declared,
        "commit": done.commit,
        "shared": done.shared,
        "unshared": done.unshared or None,
    }
