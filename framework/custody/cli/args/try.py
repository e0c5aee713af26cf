"""`custody try`: run the working tree beside production; nothing is promoted."""  # noqa: N999 - the verb's name

from __future__ import annotations

import argparse
import os
import signal
from threading import Event as Cancel

from custody.app.trial import TrialResult
from custody.cli.actions import Actions
from custody.cli.args.apply import FAILED, PARTLY, REFUSED, interruptible
from custody.cli.output import Output

HELP = "train and measure the working tree beside production; promotes nothing"
EXAMPLES = """\
examples:
  custody try                               all models that the working tree changes; stays in this clone
  custody try churn --set train.max_depth=6
  custody try --commit                      the commit, shared: after the merge, apply takes its results over

exit codes: 0 done, 1 all failed (or --commit and the tree is not clean), 4 a gate or a rule would refuse it,
7 partly done or not shared, 130/143 interrupted"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", nargs="*", metavar="MODEL", help="try these models only")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="settings",
        metavar="PATH=VALUE",
        help="e.g. train.max_depth=6, seed=3",
    )
    parser.add_argument("--commit", action="store_true", help="try the commit, which must be clean, for apply to adopt")
    parser.add_argument("--engine", choices=("inline", "prefect"), default="inline", help="what runs the steps")
    parser.add_argument("--jobs", type=int, default=None, metavar="N", help="models at the same time")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.project import open_project
    from custody.app.trial import TrialOptions, try_models
    from custody.cli.last import outcome
    from custody.cli.live import shown
    from custody.cli.views import trial as view
    from custody.core.who import job_of
    from custody.errors import RefusedError

    if Actions.of(os.environ).fork:
        raise RefusedError(
            "this job is for a fork's request: its code is not run here, with or without a token",
            code="E432",
            help=("git push origin HEAD:refs/heads/NAME   by somebody who has read it and may push here",),
        )
    project = open_project(out.directory, job_of(os.environ))
    options = TrialOptions(
        targets=tuple(args.models),
        settings=tuple(args.settings),
        commit=args.commit,
        jobs=max(1, args.jobs or min(4, os.cpu_count() or 1)),
        engine=args.engine,
    )
    cancel = Cancel()
    with outcome(project.state_dir, "try") as last, interruptible(cancel) as signals:
        with shown(out) as progress:
            result = try_models(project, options, progress, cancel)
        last.exit_code = exit_code(result, signals)
        last.facts = {"plan_id": result.plan.id, "models": {item.model: view.ending(item) for item in result.models}}
    if out.json_mode:
        out.json(view.to_json(result, last.exit_code))
    else:
        out.result(view.text(result))
    return last.exit_code


def exit_code(result: TrialResult, signals: list[int]) -> int:
    """Return the code of `EXAMPLES`: interrupted, then failed, then refused."""
    from custody.cli.views.trial import ending

    endings = [ending(item) for item in result.models]
    if result.cancelled or "interrupted" in endings:
        return 128 + (signals[0] if signals else signal.SIGINT)
    if "failed" in endings:
        return FAILED if all(item == "failed" for item in endings) else PARTLY
    if "refused" in endings:
        return REFUSED
    return PARTLY if result.shared and not result.shared.landed else 0
