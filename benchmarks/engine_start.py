"""From the start of the process to the end of the first task: our engines and Prefect's own ephemeral mode.

    python benchmarks/engine_start.py [--rounds 5] [--json FILE]

Interleaved rounds on the same machine; medians, and the ratio to the ephemeral mode in an empty home, which is what
a newcomer has (`cold`). `warm` has the database of an earlier run in its home. The schema that custody caches once
for a version of Prefect is made before the first round; what that costs is shown on a line of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

VARIANTS = ("inline", "prefect", "ephemeral cold", "ephemeral warm")
TARGET = 1 / 3


def say_done(started: float) -> None:
    print(f"FIRST {time.time() - started}", flush=True)


def step(payload: dict[str, Any]) -> dict[str, Any]:
    """Do what a first step does: read a table and describe it."""
    from sklearn.datasets import load_wine

    digest = f"{load_wine().data.sum():.6f}"
    return {"ref": {"kind": payload["step"], "digest": digest, "object": digest}}


class OneStep:
    """Steps that all run `step`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, node, _upstream):
        from custody.domain.ports import Task

        return Task("engine_start:step", {"step": node.step}, self.folder / "step.log", "k", {})

    def end(self, node, task, end):
        from custody.domain.graph import StepOutput, StepRecord, StepStatus

        if end.result is None:
            raise SystemExit(end.error)
        return StepRecord(node.step, StepStatus.DONE, task.key, {}, {}, StepOutput.from_dict(end.result))


def run_ours(name: str, folder: Path, started: float) -> None:
    import threading

    from custody.domain.graph import Graph, Node, Progress

    if name == "prefect":
        from custody.engine.prefect import PrefectEngine as Engine
    else:
        from custody.engine.inline import InlineEngine as Engine
    engine = Engine(2, folder / "state")
    graph = Graph((Node("a/fetch", "a", "fetch", {}, {}),))
    with engine.session():
        list(
            engine.execute(
                graph,
                OneStep(folder),
                lambda event: say_done(started) if event.progress is Progress.DONE else None,
                threading.Event(),
            )
        )


def run_ephemeral(started: float) -> None:
    from prefect import flow, task
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    run = task(step, name="fetch")

    @flow
    def apply() -> None:
        run.submit({"step": "fetch"}).wait()
        say_done(started)

    with temporary_settings(updates={PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        apply()


def child(name: str, folder: Path, started: float) -> None:
    if name.startswith("ephemeral"):
        run_ephemeral(started)
    else:
        run_ours(name, folder, started)


def measure(name: str, folder: Path, home: Path) -> dict[str, float]:
    home.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")},
        "PYTHONPATH": str(Path(__file__).parent),
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "DO_NOT_TRACK": "1",
    }
    before = os.times()
    started = time.time()
    done = subprocess.run(
        [sys.executable, __file__, "--child", name, str(folder), repr(started)],
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    total, after = time.time() - started, os.times()
    first = [line for line in done.stdout.splitlines() if line.startswith("FIRST ")]
    if not first:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"first": float(first[0].split()[1]), "total": total, "cpu": cpu}


def rounds(count: int, tell: Callable[[str], None]) -> dict[str, list[dict[str, float]]]:
    found: dict[str, list[dict[str, float]]] = {name: [] for name in VARIANTS}
    with tempfile.TemporaryDirectory(prefix="custody-bench-") as name:
        root = Path(name)
        measure("ephemeral warm", root / "warmup", root / "warm")
        for number in range(count):
            order = VARIANTS[number % len(VARIANTS) :] + VARIANTS[: number % len(VARIANTS)]
            for variant in order:
                folder = root / f"{number}-{variant.replace(' ', '-')}"
                home = root / "warm" if variant == "ephemeral warm" else folder / "home"
                found[variant].append(measure(variant, folder, home))
                tell(f"round {number + 1}: {variant} {found[variant][-1]['first']:.2f} s")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child[0], Path(options.child[1]), float(options.child[2]))
        return
    from custody.engine.template import ensure_template

    began = time.time()
    ensure_template(lambda text: print(text, file=sys.stderr))
    made = time.time() - began
    load = os.getloadavg()[0]
    found = rounds(options.rounds, lambda text: print(text, file=sys.stderr))
    table = {
        name: {key: statistics.median(run[key] for run in runs) for key in ("first", "total", "cpu")}
        | {"least": min(run["first"] for run in runs), "most": max(run["first"] for run in runs)}
        for name, runs in found.items()
    }
    ratio = {kind: table["prefect"]["first"] / table[f"ephemeral {kind}"]["first"] for kind in ("cold", "warm")}
    print(f"{'':16}{'first task, s':>22}{'whole process, s':>18}{'CPU, s':>8}")
    for name, row in table.items():
        spread = f"{row['first']:.2f} [{row['least']:.2f}-{row['most']:.2f}]"
        print(f"{name:16}{spread:>22}{row['total']:>18.2f}{row['cpu']:>8.2f}")
    print(f"prefect / ephemeral: cold {ratio['cold']:.2f} (at most {TARGET:.2f}), warm {ratio['warm']:.2f}")
    print(
        f"template, once for a version of Prefect: {made:.2f} s; load at the start {load:.1f}, {options.rounds} rounds"
    )
    if options.json:
        report = {"median": table, "ratio": ratio, "template": made, "load": load, "runs": found}
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
