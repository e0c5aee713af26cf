"""`custody monitor`: judge the windows of live data, predictions and outcomes that are due."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from threading import Event as Cancel
from typing import Any

from custody.app.monitored import MonitorOptions, Sweep
from custody.cli.args.apply import FAILED, PARTLY, REFUSED, interruptible
from custody.cli.output import Output
from custody.errors import UsageError

HELP = "judge live data, predictions and outcomes by monitors.yaml; record what was found, tell whom it concerns"
EXAMPLES = """\
examples:
  custody monitor                          all windows that are complete and were not judged yet, missed ones too
  custody monitor churn --window 2026-W47  one window: 2026-11-24T07, 2026-11-24, 2026-W47 or 2026-11
  custody monitor churn --replay 2026-01..2026-10 --dry-run
                                           the past, with the verdicts of then; without --dry-run it is recorded
  custody monitor --due                    for jobs: only models whose `schedule` has fired
  custody monitor --html monitors          a page a model: time lines, outcomes, the worst columns; judges nothing
  custody monitor show churn               the windows that were judged
  custody monitor calibrate churn          the limits, and what they can see

exit codes: 0 judged, whatever was found (with --detailed-exitcode 2 where there is an alert), 1 no model could be
judged, 4 a guard withholds what on_alert asks for (told once), 6 another sweep is at work, 7 some could not be judged
or it is not shared yet, 130/143 interrupted (what was judged is recorded; the next one goes on)"""

ALERT = 2


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", nargs="*", metavar="[show|calibrate] MODEL", help="default: all with monitors.yaml")
    parser.add_argument("--window", metavar="NAME", help="this window alone")
    parser.add_argument("--replay", metavar="FROM..TO", help="all windows from one to another, as if judged then")
    parser.add_argument("--html", type=Path, metavar="DIR", help="judge nothing: write a page a model into this folder")
    parser.add_argument("--all", action="store_true", help="of `show`: all windows, not the last thirty")
    parser.add_argument("--due", action="store_true", help="only models whose schedule has fired")
    parser.add_argument("--dry-run", action="store_true", help="record nothing and tell nobody")
    parser.add_argument("--detailed-exitcode", action="store_true", help="exit 2 where a window is in alert")
    parser.add_argument("--engine", choices=("prefect", "inline"), default="prefect", help="what runs the steps")
    parser.add_argument("--jobs", type=int, default=None, metavar="N", help="models at the same time")


def run(args: argparse.Namespace, out: Output) -> int:
    if args.html:
        return _pages(args, out)
    match args.models:
        case ["show", *names]:
            return _show(names, args, out)
        case ["calibrate", *names]:
            return _calibrate(names, args, out)
        case _:
            return _sweep(args, out)


def _sweep(args: argparse.Namespace, out: Output) -> int:
    from custody.app.monitor import monitor
    from custody.app.project import open_project
    from custody.cli.last import outcome
    from custody.cli.live import shown
    from custody.cli.views import monitor as view
    from custody.core.who import job_of

    project = open_project(out.directory, job_of(os.environ))
    options = _options(args, project)
    cancel = Cancel()
    with outcome(project.state_dir, "monitor") as last, interruptible(cancel) as signals:
        with shown(out) as progress:
            sweep = monitor(project, options, progress, cancel, out.say)
        last.exit_code = _exit_code(sweep, signals, detailed=args.detailed_exitcode)
        last.facts = {"models": {item.model: view.health(item) for item in sweep.models}, "record": sweep.record}
    if out.json_mode:
        out.json(view.to_json(sweep))
    else:
        out.result(view.text(sweep))
        for line in view.remarks(sweep):
            out.say(line)
    return last.exit_code


def _pages(args: argparse.Namespace, out: Output) -> int:
    from custody.app.monitor_page import write_pages
    from custody.app.project import open_project

    try:
        written = write_pages(open_project(out.directory), args.models, out.directory / args.html)
    except OSError as error:
        message = f"the pages cannot be written to {args.html}: {error.strerror}"
        raise UsageError(message, code="E612", help=("custody monitor --html monitors",)) from error
    if out.json_mode:
        out.json([str(path) for path in written])
    else:
        out.result("\n".join(f"written {path}" for path in written) or "Nothing is monitored")
    return 0


def _show(names: list[str], args: argparse.Namespace, out: Output) -> int:
    from custody.app.monitor_show import watched_models
    from custody.app.project import open_project
    from custody.cli.views import monitor_show as view

    found = watched_models(open_project(out.directory), names)
    if out.json_mode:
        out.json([view.to_json(item) for item in found])
    elif names:
        out.result("\n\n".join(view.windows(item, every=args.all) for item in found))
    else:
        out.result(view.overview(found))
    return 0


def _calibrate(names: list[str], args: argparse.Namespace, out: Output) -> int:
    from custody.app.calibrate import calibrate
    from custody.app.project import open_project
    from custody.cli.live import shown
    from custody.cli.views import calibrate as view

    cancel = Cancel()
    options = MonitorOptions(tuple(names), engine=args.engine, jobs=args.jobs or 1)
    with interruptible(cancel) as signals, shown(out) as progress:
        found = calibrate(open_project(out.directory), options, progress, cancel)
    if out.json_mode:
        out.json([view.to_json(item) for item in found])
    else:
        out.result("\n\n".join(view.text(item) for item in found) or "Nothing to do: no model declares monitors.yaml")
    if cancel.is_set():
        return 128 + (signals[0] if signals else 2)
    return FAILED if found and all(item.error for item in found) else 0


def _options(args: argparse.Namespace, project: Any) -> MonitorOptions:
    from custody.app.watched import zone_named
    from custody.core.due import Asked, parse_span
    from custody.core.windows import window_named

    if args.window and args.replay:
        raise UsageError("--window and --replay exclude each other", code="E640", help=("custody monitor --help",))
    zone = zone_named(project.config.timezone)
    try:
        if args.replay:
            start, end = parse_span(args.replay, zone)
            asked = Asked(start=start, end=end)
        else:
            asked = Asked(window_named(args.window, zone) if args.window else None)
    except ValueError as error:
        raise UsageError(str(error), code="E640", help=("custody monitor --help",)) from error
    return MonitorOptions(
        models=tuple(args.models),
        asked=asked,
        due=args.due,
        dry_run=args.dry_run,
        engine=args.engine,
        jobs=args.jobs or min(4, os.cpu_count() or 1),
        share_timeout=300.0 if os.environ.get("CI") else 60.0,
        environ=os.environ,
    )


def _exit_code(sweep: Sweep, signals: list[int], *, detailed: bool) -> int:
    """Return the code of `EXAMPLES`, numbered cases first to last.

    1. Interrupted. 2. No model could be judged: 1; some could not, or the record is not shared: 7. 3. What an alert
    asks for was withheld. 4. Alerts.
    """
    if sweep.cancelled:
        return 128 + (signals[0] if signals else 2)
    if sweep.failed:
        return FAILED if len(sweep.failed) == len(sweep.models) else PARTLY
    if sweep.shared is not None and not sweep.shared.landed:
        return PARTLY
    if any(item.withheld and item.new for item in sweep.acted):
        return REFUSED
    return ALERT if detailed and any(item.health == "alert" for item in sweep.judged) else 0
