"""`custody serve`: answer over HTTP with the promoted artifact, and follow what is promoted."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

from custody.app.serve import Ready, ServeOptions
from custody.cli.output import Output
from custody.errors import UsageError

HELP = "answer over HTTP with the promoted artifact; keeps each prediction, follows promotions"
EXAMPLES = """\
examples:
  custody serve churn                             what `production` points to, at http://127.0.0.1:8000
  custody serve churn@canary demand --port 9000
  custody serve churn --host 0.0.0.0 --workers 4 --where http://scoring.internal:8000

  curl -s localhost:8000/v1/models/churn/predict -d '{"rows": [{"usage_30d": 12.5, "plan": "pro"}]}'

POST /v1/models/MODEL/predict    {"rows": [{feature: value, …}, …]}; each feature, null where there is no value
GET  /v1/models/MODEL            features and kinds, version
GET  /health /ready /version     and /metrics for Prometheus

An answer is sent when its predictions are on disk. What is newly promoted takes over within seconds, between two
requests. There are neither passwords nor TLS: on another address than loopback, put a proxy before it.

exit codes: 0 stopped by Ctrl-C or SIGTERM, 1 cannot start, 64 no such model or version"""

_BOUNDS = (("workers", 1, 64), ("port", 0, 65535), ("max_rows", 1, None), ("max_bytes", 1, None))


def configure(parser: argparse.ArgumentParser) -> None:
    default = ServeOptions()
    parser.add_argument("models", metavar="MODEL[@STAGE|@vN]", nargs="+")
    parser.add_argument("--host", default=default.host, metavar="ADDRESS", help=f"default: {default.host}")
    parser.add_argument("--port", type=int, default=default.port, metavar="N", help="default: 8000; 0: a free one")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes that answer (default: 1)")
    parser.add_argument("--where", metavar="PLACE", help="what `deployed` calls this server (default: HOST:PORT)")
    parser.add_argument("--max-rows", type=int, default=default.rows, metavar="N", help="in a request (default: 10000)")
    parser.add_argument("--max-bytes", type=int, default=default.size, metavar="N", help="of one (default: 8 MiB)")
    parser.add_argument(
        "--seal-after", type=float, default=default.age, metavar="SECONDS", help="age of a batch (default: 3600)"
    )


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.project import open_project
    from custody.app.serve import serve
    from custody.core.who import job_of

    options = _options(args)
    project, stop = open_project(out.directory, job_of(os.environ)), Event()
    with _stopping(stop):
        serve(project, args.models, options, lambda ready: _ready(ready, out), out.say, stop)
    return 0


@contextmanager
def _stopping(stop: Event) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM set `stop`, and the second of them end the process that was started here."""
    started, received = os.getpid(), []

    def end(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        # workers get the signal of the terminal, and then the one of the process that started them
        if len(received) > 1 and os.getpid() == started:
            os._exit(128 + number)
        stop.set()

    previous = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _options(args: argparse.Namespace) -> ServeOptions:
    for name, least, most in _BOUNDS:
        value = getattr(args, name)
        if value < least or (most is not None and value > most):
            allowed = f"{least} to {most}" if most is not None else f"{least} or more"
            message = f"--{name.replace('_', '-')} is {allowed}, not {value}"
            raise UsageError(message, code="E640", help=("custody serve --help",))
    if not args.seal_after > 0:
        raise UsageError("--seal-after is more than 0 seconds", code="E640", help=("custody serve --help",))
    return ServeOptions(
        host=args.host,
        port=args.port,
        workers=args.workers,
        where=args.where,
        size=args.max_bytes,
        rows=args.max_rows,
        age=args.seal_after,
    )


def _ready(ready: Ready, out: Output) -> None:
    if out.json_mode:
        versions = {name: {"version": item.version, "run": item.run} for name, item in ready.serving.items()}
        out.json({"address": ready.address, "where": ready.where, "models": versions, "journal": ready.journal})
        return
    for name, item in ready.serving.items():
        out.result(f"Serving {name} {item.version} at {ready.address}/v1/models/{name}/predict")
    out.say("stop: Ctrl-C   answers what was asked, and seals what was answered")
