"""`custody apply`: reconcile the recorded state with the specs; owns what Ctrl-C, SIGTERM and SIGHUP do meanwhile."""

from __future__ import annotations

import argparse
import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from threading import Event as Cancel
from types import FrameType
from typing import Any

from custody.app.apply_result import Applied
from custody.cli.choose import add_choice, choice_of
from custody.cli.output import Output

HELP = "do what plan shows: train, evaluate, judge, record, promote"
EXAMPLES = """\
examples:
  custody apply                     reconcile the commit that is checked out
  custody apply churn --jobs 4
  custody apply --exclude churn     all but one
  custody apply --replace churn:train --reason "new driver"   run that step again; what follows only where it differs
  custody apply --expect 7c1e90d    refuse where the plan is not the one that was reviewed

exit codes: 0 done, 1 all failed, 4 a gate or a rule refused, 5 the plan differs, 6 locked, 7 partly done
or not yet shared, 129/130/143 interrupted (what had finished is recorded; apply again goes on)"""

FAILED, REFUSED, PARTLY = 1, 4, 7
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)?")
_UNIT = {"s": 1, "m": 60, "h": 3600}


def configure(parser: argparse.ArgumentParser) -> None:
    add_choice(parser, "apply")
    parser.add_argument("--jobs", type=_positive, default=None, metavar="N", help="models at the same time")
    parser.add_argument("--engine", choices=("prefect", "inline"), default="prefect", help="what runs the steps")
    parser.add_argument(
        "--expect", type=_plan_id, metavar="ID", help="the id of the reviewed plan, or at least 7 digits of it"
    )
    parser.add_argument("--lock-timeout", type=_duration, default=0.0, metavar="TIME", help="wait so long, e.g. 5m")
    parser.add_argument(
        "--share-timeout", type=_duration, metavar="TIME", help="try so long to share (default: 60s, in CI 5m)"
    )


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.apply import ApplyOptions, apply
    from custody.app.project import open_project
    from custody.cli.last import outcome
    from custody.cli.live import shown
    from custody.cli.views import apply as view
    from custody.core.who import job_of

    project = open_project(out.directory, job_of(os.environ))
    options = ApplyOptions(
        choice=choice_of(args),
        jobs=args.jobs or min(4, os.cpu_count() or 1),
        engine=args.engine,
        expect=args.expect,
        lock_timeout=args.lock_timeout,
        share_timeout=args.share_timeout or (300.0 if os.environ.get("CI") else 60.0),
    )
    cancel = Cancel()
    with outcome(project.state_dir, "apply") as last, interruptible(cancel) as signals:
        with shown(out) as progress:
            applied = apply(project, options, progress, cancel, out.say)
        last.exit_code = exit_code(applied, signals)
        models = {item.model: view.ending(item).value for item in applied.models}
        last.facts = {"plan_id": applied.plan.id, "models": models, "ledger_head": applied.ledger_head}
        last.facts |= {"pending": list(applied.pending), "unshared_reason": applied.unshared_reason}
    _show(applied, last.exit_code, out)
    if applied.incidents:
        from custody.cli.messages import send

        send(project, out)
    return last.exit_code


def exit_code(applied: Applied, signals: list[int]) -> int:
    """Return the code of `EXAMPLES`, numbered cases first to last.

    1. Interrupted: 130 or 143, by the first signal.
    2. Something is not shared yet: 7.
    3. A step failed: 1 where nothing else was done, else 7.
    4. A gate or a rule refused: 4.
    """
    from custody.cli.views.apply import Ending, ending

    counts = Counter(ending(item) for item in applied.models)
    if applied.cancelled or counts[Ending.INTERRUPTED]:
        return 128 + (signals[0] if signals else signal.SIGINT)
    if applied.unshared_reason:
        return PARTLY
    if counts[Ending.FAILED]:
        return PARTLY if counts[Ending.DONE] or counts[Ending.REFUSED] else FAILED
    return REFUSED if counts[Ending.REFUSED] else 0


@contextmanager
def interruptible(cancel: Cancel) -> Iterator[list[int]]:
    """Let the first signal set `cancel` and the second end the process; yields the signals received.

    Signals are Ctrl-C, SIGTERM, and the end of the terminal, unless that is ignored (`nohup`).
    """
    received: list[int] = []
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    if previous[signal.SIGHUP] is signal.SIG_IGN:
        del previous[signal.SIGHUP]
    terminals = [number for number in (1, 2) if os.isatty(number)]

    def stop(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if number == signal.SIGHUP:
            _let_go(terminals)
        # written past the buffers: a handler may interrupt a write that is under way
        if len(received) > 1:
            _restore(previous)
            _tell(b"\nKilled; the next apply records what was cut off.\n")
            os._exit(128 + number)
        cancel.set()
        _tell(b"\nStopping: running steps are ended and recorded. Once more to kill.\n")

    for number in previous:
        signal.signal(number, stop)
    try:
        yield received
    finally:
        _restore(previous)


def _let_go(terminals: Sequence[int]) -> None:
    """Write to nowhere from now on: a terminal that is gone fails every write, and there is something to record."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in terminals:
        os.dup2(nowhere, number)
    os.close(nowhere)


def _tell(words: bytes) -> None:
    with suppress(OSError):  # the terminal may be gone
        os.write(2, words)


def _restore(previous: Mapping[signal.Signals, Callable[[int, FrameType | None], Any] | int | None]) -> None:
    for number, handler in previous.items():
        signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _show(applied: Applied, code: int, out: Output) -> None:
    from custody import __version__
    from custody.cli.views import apply as view
    from custody.cli.views import plan as plan_view

    if out.json_mode:
        out.json(view.to_json(applied, code))
        return
    out.problems(applied.plan.warnings)
    if not applied.models and not applied.data:
        out.result(plan_view.text(applied.plan, __version__))
        if words := view.sharing(applied):
            out.result(words)
    else:
        out.result(view.text(applied))


def _positive(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of jobs, such as 2")
    return int(text)


def _plan_id(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{7,64}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no plan id: 7 to 64 hexadecimal digits, as plan prints it")
    return text


def _duration(text: str) -> float:
    match = _DURATION.fullmatch(text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration, such as 30s, 5m or 1h")
    return float(match[1]) * _UNIT[match[2] or "s"]
