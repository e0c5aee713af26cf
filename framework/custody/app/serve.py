"""Serve: answer over HTTP with what is promoted, follow the ledger, keep and seal what was answered.

A worker loads the models and answers; the keeper, one a server, records what runs where and seals the journal. With one
worker both are in one process.
"""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any

from custody import __version__
from custody.app.branch import require_ledger
from custody.app.deployed import require_place
from custody.app.follow import Follower
from custody.app.keeper import Keeper
from custody.app.project import Project, open_project
from custody.app.promoted import find_promoted, stage_of
from custody.app.sealing import journal_root
from custody.app.servers import Announcement, workers
from custody.app.supervise import supervise
from custody.domain.serving import Promoted
from custody.errors import CustodyError, UsageError

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How to serve. `where` is the place that `deployed` names; `size` (bytes) and `rows` bound one request.

    `poll` is how often a worker looks at the ledger, `age` after how long a segment of the journal is sealed, both in
    seconds. Without `journal` nothing is kept, which is for measuring what keeping costs.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    where: str | None = None
    size: int = 8 << 20
    rows: int = 10_000
    poll: float = 1.0
    age: float = 3600.0
    journal: bool = True


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is about to run: its id, where it listens, what it serves by name, and the stages it follows."""

    id: str
    address: str
    where: str
    targets: Mapping[str, str]
    stages: Mapping[str, str]
    options: ServeOptions
    listening: socket.socket


@dataclass(frozen=True, slots=True)
class Ready:
    """A server that answers: where, and with what by name."""

    address: str
    where: str
    serving: Mapping[str, Promoted]
    journal: str


def serve(
    project: Project,
    targets: Sequence[str],
    options: ServeOptions,
    ready: Callable[[Ready], None],
    say: Say,
    stop: Event,
) -> None:
    """Serve `targets` (MODEL, MODEL@STAGE, MODEL@vN) until `stop` is set; `ready` is called when requests are taken.

    `say` gets a line for whatever should be known while it runs. Raises CustodyError where it cannot start.
    """
    _installed()
    from custody.serving.run import address_of, listen

    require_ledger(project)
    project.ledger.fetch()
    named = _named(project, targets)
    found = {name: find_promoted(project, target) for name, target in named.items()}
    stages = {name: stage for name, target in named.items() if (stage := stage_of(project, target))}
    project.store.ready()
    with listen(options.host, options.port) as listening:
        address = address_of(listening)
        where = options.where or f"{socket.gethostname()}:{listening.getsockname()[1]}"
        require_place(where)
        server = Server(secrets.token_hex(4), address, where, named, stages, options, listening)
        told = Ready(address, where, {name: item.promoted for name, item in found.items()}, str(journal_root(project)))
        keeper = Keeper(project, server.id, where, tuple(named), say)
        if options.workers == 1:
            _alone(project, server, keeper, lambda: ready(told), say, stop)
        else:
            answering = _worker(project, server, say, stop)
            supervise(options.workers, answering, lambda: ready(told), keeper.turn, stop)
        keeper.finish()


def _alone(project: Project, server: Server, keeper: Keeper, ready: Callable[[], None], say: Say, stop: Event) -> None:
    ended = Event()
    thread = threading.Thread(target=keeper.run, args=(ended,), name="keeper", daemon=True)

    def begin() -> None:
        thread.start()
        ready()

    try:
        work(project, server, begin, say, stop)
    finally:
        ended.set()
        if thread.is_alive():
            thread.join()


def _worker(project: Project, server: Server, say: Say, stop: Event) -> Callable[[Callable[[], None]], None]:
    """Return what a process of its own does: it needs handles of its own to the repository."""

    def run(ready: Callable[[], None]) -> None:
        work(open_project(project.root, project.job), server, ready, say, stop)

    return run


def work(project: Project, server: Server, ready: Callable[[], None], say: Say, stop: Event) -> None:
    """Load the models, answer until `stop` is set, and leave nothing unwritten."""
    from custody.serving.http import Bounds, application
    from custody.serving.journal import Journal, Limits
    from custody.serving.models import Models
    from custody.serving.run import run_server

    options, root = server.options, journal_root(project)
    limits = Limits(age=options.age)
    models = Models(tuple(server.targets), (lambda name: Journal(root / name, limits)) if options.journal else None)
    announcement = Announcement(project.worktree.common_dir, server.id, server.address, server.where)
    follower = Follower(project, server.targets, server.stages, models, announcement, say)
    try:
        follower.look()
        if not models.ready:
            raise CustodyError("not every model could be loaded", code="serve.load", help=("custody status",))
        ended = Event()
        thread = threading.Thread(target=follower.run, args=(ended, options.poll), name="follower", daemon=True)
        thread.start()
        about = lambda: _about(project, server, models.serving())  # noqa: E731
        run_server(application(models, Bounds(options.size, options.rows), about), server.listening, ready, stop)
        ended.set()
        thread.join()
    finally:
        models.close()
        announcement.close()


def _about(project: Project, server: Server, serving: Mapping[str, Promoted | None]) -> dict[str, Any]:
    """Return what `/version` tells: this worker's models, and those of all workers of the server."""
    siblings = [worker.to_dict() for worker in workers(project.worktree.common_dir, server.id)]
    told = {
        name: {"version": item.version, "run": item.run, "artifact": item.artifact} if item else None
        for name, item in serving.items()
    }
    return {"custody": __version__, "server": server.id, "where": server.where, "models": told, "workers": siblings}


def _named(project: Project, targets: Sequence[str]) -> dict[str, str]:
    """Return the targets by the name they are served under; a stage that was not named stays what it means now."""
    found: dict[str, str] = {}
    for target in targets:
        name, _, which = target.partition("@")
        if name in found:
            raise UsageError(f"{name} is named twice: one server answers for a model once", code="E640")
        stage = stage_of(project, target)
        found[name] = target if which or stage is None else f"{name}@{stage}"
    return found


def _installed() -> None:
    """Refuse where the extra is not installed."""
    from importlib.util import find_spec

    missing = [name for name in ("starlette", "uvicorn", "prometheus_client") if find_spec(name) is None]
    if missing:
        message = f"serve needs {', '.join(missing)}"
        raise UsageError(message, code="E640", help=("pip install 'git-custody[serve]'",))
