"""A program that runs a small graph under an engine, for tests that kill it or take its network away.

`python -m tests.unit.engine.trial ENGINE FOLDER WHAT...`: `prefect` or `inline`; a folder for state and logs; what the
steps of each model do. It writes the word of each stage it has reached into `FOLDER/stage`, one a line.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from custody.engine.inline import InlineEngine
from custody.engine.prefect import PrefectEngine
from tests.unit.engine.engine_suite import TinySteps, chain, graph


def main(engine: str, folder: Path, does: list[str]) -> None:
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    state = folder / "state"
    made = PrefectEngine(2, state, say=print) if engine == "prefect" else InlineEngine(2, state)
    cancel = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: cancel.set())
    steps = [
        chain(f"m{at}", "make", {"do": do, "started": str(folder / "started"), "path": str(folder / "pid")})
        for at, do in enumerate(does)
    ]

    def stage(word: str) -> None:
        with (folder / "stage").open("a") as file:
            file.write(f"{word}\n")

    stage("begun")
    with made.session():
        stage("session")
        for outcome in made.execute(
            graph(*steps), TinySteps(folder), lambda event: stage(f"{event.node.id} {event.progress}"), cancel
        ):
            failed = outcome.failed
            stage(f"{outcome.model} {'cancelled' if outcome.cancelled else failed.error if failed else 'done'}")
        stage("executed")
    stage("stopped")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
