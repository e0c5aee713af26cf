"""Running the steps of a sweep: the engine, started when it is first needed, and the folder for what they leave."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event as Cancel

from custody.app.apply import engine_for
from custody.app.monitor_steps import MonitorSteps
from custody.app.monitored import MonitorOptions
from custody.app.project import Project
from custody.app.steps import PRELOAD
from custody.app.watched import Watched
from custody.domain.graph import Event, Graph, Node, Outcome
from custody.domain.ports import Engine
from custody.errors import LockedError
from custody.ledger.locks import apply_lock

ROWS = ("custody.app.observe", "pyarrow.compute", "pyarrow.parquet", "pyarrow.csv")
"""What a step process finds imported that reads rows and loads no model."""


@dataclass(frozen=True, slots=True)
class MonitorRun:
    """Runs nodes and yields one outcome a model."""

    engine: Callable[[tuple[str, ...]], Engine]
    steps: MonitorSteps
    progress: Callable[[Event], None]
    cancel: Cancel

    def __call__(self, nodes: Sequence[Node]) -> Iterator[Outcome]:
        if nodes:
            models = any("model" in node.settings["stored"] for node in nodes)
            engine = self.engine((*ROWS, *PRELOAD) if models else ROWS)
            yield from engine.execute(Graph(tuple(nodes)), self.steps, self.progress, self.cancel)

    def folder(self, model: str) -> Path:
        """Return where the files of a model's observation are, until the sweep ends."""
        return self.steps.folder(model)


@contextmanager
def running(
    project: Project,
    watched: Sequence[Watched],
    options: MonitorOptions,
    progress: Callable[[Event], None],
    cancel: Cancel,
    say: Callable[[str], None],
) -> Iterator[MonitorRun]:
    """Yield what runs steps. One Prefect is at work in a clone: beside an apply the steps are run without it."""
    under = project.state_dir / "monitor"
    under.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=under))
    steps = MonitorSteps(project, {item.name: item for item in watched}, scratch)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)

        started: list[Engine] = []

        def engine(preload: tuple[str, ...]) -> Engine:
            if started:
                return started[0]
            name = options.engine
            try:
                if name != "inline":
                    stack.enter_context(apply_lock(project.worktree.common_dir))
            except LockedError:
                say("an apply is at work in this repository: the steps are run without Prefect")
                name = "inline"
            made = engine_for(project, name, options.jobs, say, flow="monitor", preload=preload)
            stack.enter_context(made.session())
            started.append(made)
            return made

        yield MonitorRun(engine, steps, progress, cancel)
