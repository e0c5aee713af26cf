"""`custody try`: run the working tree beside production; nothing is promoted."""  # noqa: N999 - the verb's name

from __future__ import annotations

import argparse
import os
import signal
from threading import Event as Cancel

from custody.app.project import Project
from custody.app.trial import TrialResult
from custody.cli.actions import Actions
from custody.cli.args.apply import FAILED, PARTLY, REFUSED, interruptible
from custody.cli.output import Output
from custody.errors import UsageError

HELP = "train and measure the working tree beside production; promotes nothing"
EXAMPLES = """\
examples:
  custody try                               all models that the working tree changes; stays in this clone
  custody try churn --set train.max_depth=6
  custody try churn --set train.max_depth=4,6,8 --set train.min_samples_leaf=1,5      all six combinations
  custody try churn --set train.learning_rate=log:1e-3..0.3 --set train.max_depth=2..8 --sample 20
  custody try churn --set train.max_depth=2..8 --sample 20 --sampler tpe
  custody try --commit                      the commit, shared: after the merge, apply takes its results over

exit codes: 0 done (of several combinations: one passes its gates), 1 all failed (or --commit and the tree is
not clean), 4 a gate or a rule would refuse it, 7 partly done or not shared, 129/130/143 interrupted"""

_WRITE = "custody try churn --set train.max_depth=6 --write"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", nargs="*", metavar="MODEL", help="try these models only")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="settings",
        metavar="PATH=VALUE",
        help="e.g. train.max_depth=6, seed=3; to try several: 4,6,8 or 2..8, with --sample also 0.01..0.3, log:1e-4..1",
    )
    parser.add_argument("--sample", type=int, metavar="N", help="try N combinations drawn at random")
    parser.add_argument(
        "--sampler",
        choices=("random", "tpe", "cmaes", "qmc"),
        default="random",
        help="what draws them: at random, or by what came of others, with git-custody[tune]",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another draw of --sample (default 0)")
    parser.add_argument("--write", action="store_true", help="write what --set says to pipeline.yaml as well")
    parser.add_argument("--commit", action="store_true", help="try the commit, which must be clean, for apply to adopt")
    parser.add_argument("--engine", choices=("inline", "prefect"), default="inline", help="what runs the steps")
    parser.add_argument(
        "--jobs",
        "--parallel",
        type=int,
        default=None,
        metavar="N",
        help="steps at the same time (default: the cores, 4 at most)",
    )


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.project import open_project
    from custody.app.sweep import is_sweep
    from custody.core.who import job_of
    from custody.errors import RefusedError

    if Actions.of(os.environ).fork:
        raise RefusedError(
            "this job is for a fork's request: its code is not run here, with or without a token",
            code="E432",
            help=("git push origin HEAD:refs/heads/NAME   by somebody who has read it and may push here",),
        )
    project = open_project(out.directory, job_of(os.environ))
    jobs = max(1, args.jobs or min(4, os.cpu_count() or 1))
    if is_sweep(args.settings, args.sample):
        return _sweep(project, args, out, jobs)
    return _try(project, args, out, jobs)


def _try(project: Project, args: argparse.Namespace, out: Output, jobs: int) -> int:
    from custody.app.trial import TrialOptions, try_models
    from custody.cli.last import outcome
    from custody.cli.live import shown
    from custody.cli.views import trial as view

    if args.write and (len(args.models) != 1 or not args.settings):
        raise UsageError("--write needs one model and what --set says of it", code="E433", help=(_WRITE,))
    options = TrialOptions(tuple(args.models), tuple(args.settings), args.commit, jobs, args.engine)
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
    if args.write and last.exit_code in {0, REFUSED}:
        from custody.app.keep import keep_settings

        path = keep_settings(project, args.models[0], args.settings)
        out.say(
            f"Written: {path}; git diff {path} shows it, git checkout -- {path} takes back all that is not committed"
        )
    return last.exit_code


def _sweep(project: Project, args: argparse.Namespace, out: Output, jobs: int) -> int:
    from custody.app.sweep import SweepOptions, sweep
    from custody.cli.last import outcome
    from custody.cli.live import shown
    from custody.cli.views import sweep as view

    if len(args.models) != 1:
        message = "combinations are tried of one model; which one?"
        raise UsageError(message, code="E433", help=("custody try churn --set train.max_depth=4,6,8",))
    if args.commit or args.write:
        option = "--commit" if args.commit else "--write"
        raise UsageError(f"{option} is for one combination, and --set names several", code="E433", help=(_WRITE,))
    options = SweepOptions(
        args.models[0], tuple(args.settings), args.sample, args.seed, args.sampler, jobs, args.engine
    )
    cancel = Cancel()
    with outcome(project.state_dir, "try") as last, interruptible(cancel) as signals:
        with shown(out) as progress:
            result = sweep(project, options, progress, cancel)
        endings = [view.ending_of(item) for item in result.combinations]
        counted = endings if result.best is None else [item for item in endings if item != "refused"]
        last.exit_code = _code(counted, signals, cancelled=result.cancelled)
        last.facts = {"model": result.model, "endings": endings}
    if out.json_mode:
        out.json(view.to_json(result, last.exit_code))
    else:
        out.result(view.text(result))
    return last.exit_code


def exit_code(result: TrialResult, signals: list[int]) -> int:
    """Return the code of `EXAMPLES`: interrupted, then failed, then refused."""
    from custody.cli.views.trial import ending

    code = _code([ending(item) for item in result.models], signals, cancelled=result.cancelled)
    return code or (PARTLY if result.shared and not result.shared.landed else 0)


def _code(endings: list[str], signals: list[int], *, cancelled: bool) -> int:
    if cancelled or "interrupted" in endings:
        return 128 + (signals[0] if signals else signal.SIGINT)
    if "failed" in endings:
        return FAILED if all(item == "failed" for item in endings) else PARTLY
    return REFUSED if "refused" in endings else 0
