"""A compiled graph of 4 models with 6 small real steps, and the same flow written by hand for Prefect.

    python benchmarks/compiled_flow.py [--rounds 7] [--models 4] [--jobs 2] [--json FILE]

Both run on the same kind of supervised server, with the same functions and the same files between them, in interleaved
rounds. By hand, a step is a call in a thread of the one process; compiled, it has a process of its own.

- `program`: `real` steps, from the start of the program to its end, with the start and stop of the server.
- `real`: the steps load, check, split, fit and score with scikit-learn; on a server that runs, all imported.
- `empty`: they do nothing; what a step costs beside its work.

CPU is that of all processes: this one, Prefect's server, the one that forks, the steps.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

STEPS = ("fetch", "validate", "split", "prepare", "train", "evaluate")
NEEDS = {
    "fetch": (),
    "validate": ("fetch",),
    "split": ("fetch",),
    "prepare": ("fetch", "split"),
    "train": ("fetch", "split", "prepare"),
    "evaluate": ("fetch", "split", "train"),
}


def empty(payload: dict[str, Any]) -> dict[str, Any]:
    return {"ref": {"kind": payload["step"], "digest": "0", "object": "0"}}


def real(payload: dict[str, Any]) -> dict[str, Any]:
    """Do one step of a small model; arrays and fitted parts pass as files in one folder."""
    import numpy as np
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import roc_auc_score

    folder, value = Path(payload["folder"]), 0.0
    folder.mkdir(parents=True, exist_ok=True)
    match payload["step"]:
        case "fetch":
            x, y = load_breast_cancer(return_X_y=True)
            np.savez(folder / "table.npz", x=x, y=y)
            value = float(x.sum())
        case "validate":
            value = float(np.isfinite(np.load(folder / "table.npz")["x"]).mean())
        case "split":
            rows = np.random.default_rng(7).permutation(len(np.load(folder / "table.npz")["y"]))
            np.savez(folder / "split.npz", train=rows[100:], test=rows[:100])
        case "prepare":
            train = np.load(folder / "table.npz")["x"][np.load(folder / "split.npz")["train"]]
            np.savez(folder / "scale.npz", mean=train.mean(0), std=train.std(0))
        case "train":
            forest, _ = _fit(RandomForestClassifier, folder)
            value = float(forest.estimators_[0].tree_.node_count)
        case _:
            forest, (x, y) = _fit(RandomForestClassifier, folder)
            value = float(roc_auc_score(y, forest.predict_proba(x)[:, 1]))
    return {"ref": {"kind": payload["step"], "digest": f"{value:.6f}", "object": "0"}}


def _fit(kind: Any, folder: Path) -> tuple[Any, tuple[Any, Any]]:
    import numpy as np

    table, split, scale = (np.load(folder / f"{name}.npz") for name in ("table", "split", "scale"))
    x, y = (table["x"] - scale["mean"]) / scale["std"], table["y"]
    forest = kind(n_estimators=20, random_state=1).fit(x[split["train"]], y[split["train"]])
    return forest, (x[split["test"]], y[split["test"]])


class Timed:
    """The steps of the compiled graph; adds up the CPU of their processes."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder, self.kind, self.cpu = folder, kind, 0.0
        self.values: dict[str, str] = {}
        self._lock = threading.Lock()

    def begin(self, node, upstream):
        from custody.domain.ports import Task

        payload = {"step": node.step, "folder": str(self.folder / node.model)}
        log = self.folder / "logs" / f"{node.model}-{node.step}.log"
        return Task(
            f"compiled_flow:{self.kind}", payload, log, "k", {role: ref.digest for role, ref in upstream.items()}
        )

    def end(self, node, task, end):
        from custody.domain.graph import StepOutput, StepRecord, StepStatus

        if end.result is None:
            raise RuntimeError(f"{node.id}: {end.error}")
        with self._lock:
            self.cpu += end.cpu
            self.values[node.id] = end.result["ref"]["digest"]
        return StepRecord(node.step, StepStatus.DONE, task.key, {}, task.upstream, StepOutput.from_dict(end.result))


def graph_of(models: int) -> Any:
    from custody.domain.graph import Graph, Node

    return Graph(
        tuple(
            Node(f"m{at}/{step}", f"m{at}", step, {}, {need: f"m{at}/{need}" for need in NEEDS[step]})
            for at in range(models)
            for step in STEPS
        )
    )


def flow_by_hand(models: int, jobs: int) -> Any:
    """What somebody who knows Prefect writes for these models."""
    from prefect import flow, task
    from prefect.task_runners import ThreadPoolTaskRunner

    @task
    def one(step: str, model: str, folder: str, kind: str, needs: list[Any]) -> str:
        done = {"real": real, "empty": empty}[kind]({"step": step, "folder": f"{folder}/{model}"})
        return done["ref"]["digest"]

    made = {step: one.with_options(name=step, task_run_name=f"{{model}}/{step}") for step in STEPS}

    @flow(name="by-hand", task_runner=ThreadPoolTaskRunner(max_workers=jobs))
    def by_hand(folder: str, kind: str) -> dict[str, str]:
        futures: dict[str, Any] = {}
        for at in range(models):
            for step in STEPS:
                needs = [futures[f"m{at}/{need}"] for need in NEEDS[step]]
                futures[f"m{at}/{step}"] = made[step].submit(step, f"m{at}", folder, kind, needs)
        return {name: future.result() for name, future in futures.items()}

    return by_hand


PRELOADED = ("sklearn.datasets", "compiled_flow")


def execute(engine: Any, models: int, steps: Timed) -> None:
    for outcome in engine.execute(graph_of(models), steps, lambda _: None, threading.Event()):
        if outcome.failed:
            raise SystemExit(f"{outcome.model}: {outcome.failed.error}")


def call_by_hand(flow: Any, server: Any, folder: Path, kind: str) -> dict[str, str]:
    from prefect.settings import (
        PREFECT_API_AUTH_STRING,
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        temporary_settings,
    )

    settings = {
        PREFECT_API_URL: server.url,
        PREFECT_API_AUTH_STRING: server.auth,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
    }
    with temporary_settings(updates=settings):
        return flow(str(folder), kind)


def program(way: str, root: Path, models: int, jobs: int) -> None:
    """Be a program that runs the models once."""
    from custody.app.steps import PRELOAD
    from custody.engine.prefect import PrefectEngine, _environment, _settings
    from custody.engine.server import PrefectServer

    if way == "compiled":
        engine = PrefectEngine(jobs, root / "state", preload=(*PRELOAD, *PRELOADED))
        with engine.session():
            execute(engine, models, Timed(root, "real"))
        return
    home = root / "state" / "prefect"
    server = PrefectServer(home, print)
    server.start()
    with _environment(_settings(home)):
        from custody.engine import flow

        flow.log_to(home / "prefect.log")
        call_by_hand(flow_by_hand(models, jobs), server, root, "real")
        flow.drain()
        server.settle(models * len(STEPS))
    server.stop()


def run_program(way: str, root: Path, models: int, jobs: int) -> tuple[float, float]:
    root.mkdir()
    before, began = os.times(), time.perf_counter()
    arguments = ["--program", way, "--root", str(root), "--models", str(models), "--jobs", str(jobs)]
    subprocess.run([sys.executable, __file__, *arguments], check=True, stdin=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, os.times()
    return wall, sum(after[2:4]) - sum(before[2:4])


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Bench:
    """One session with both ways to run the models."""

    def __init__(self, root: Path, models: int, jobs: int) -> None:
        from custody.app.steps import PRELOAD
        from custody.engine.prefect import PrefectEngine

        self.engine = PrefectEngine(jobs, root / "state", preload=(*PRELOAD, *PRELOADED))
        self.root, self.count, self.models, self.jobs = root, 0, models, jobs

    def prepare(self) -> None:
        """Import what the hand-written flow needs, and run both once."""
        self.engine._imported.result()
        self.by_hand = flow_by_hand(self.models, self.jobs)
        for kind in ("empty", "real"):
            if self.compiled(kind)[2] != self.hand(kind)[2]:
                raise SystemExit("the two ways do not come to the same values")

    def compiled(self, kind: str) -> tuple[float, float, dict[str, str]]:
        steps = Timed(self._folder(), kind)
        cpu, wall = self._cpu(), time.perf_counter()
        execute(self.engine, self.models, steps)
        wall = time.perf_counter() - wall
        return wall, self._cpu() - cpu + steps.cpu, steps.values

    def hand(self, kind: str) -> tuple[float, float, dict[str, str]]:
        folder = self._folder()
        cpu, wall = self._cpu(), time.perf_counter()
        values = call_by_hand(self.by_hand, self.engine._server, folder, kind)
        wall = time.perf_counter() - wall
        return wall, self._cpu() - cpu, values

    def _folder(self) -> Path:
        self.count += 1
        return self.root / str(self.count)

    def _cpu(self) -> float:
        """Return the CPU used so far, when Prefect's server has stored what it was told and is idle."""
        server, forks = self.engine._server._process.pid, self.engine._steps._shared._process.pid
        last = -1.0
        while last < (now := cpu_of(server)):
            last = now
            time.sleep(0.3)
        return time.process_time() + now + cpu_of(forks)


Runs = dict[str, dict[str, list[tuple[float, float]]]]


def ordered(number: int, ways: list[Any]) -> list[Any]:
    return ways if number % 2 else ways[::-1]


def measure(rounds: int, models: int, jobs: int) -> Runs:
    found: Runs = {kind: {"by hand": [], "compiled": []} for kind in ("program", "real", "empty")}
    with tempfile.TemporaryDirectory(prefix="custody-bench-") as name:
        root = Path(name)
        for number in range(rounds):
            for way in ordered(number, ["compiled", "by hand"]):
                found["program"][way].append(run_program(way, root / f"{number}-{way[:2]}", models, jobs))
            print(f"programs: round {number + 1} of {rounds}", file=sys.stderr)
        bench = Bench(root, models, jobs)
        with bench.engine.session():
            bench.prepare()
            for number in range(rounds):
                for kind in ("real", "empty"):
                    for way, run in ordered(number, [("compiled", bench.compiled), ("by hand", bench.hand)]):
                        found[kind][way].append(run(kind)[:2])
    return found


def report(found: Runs, steps: int) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for kind, ways in found.items():
        median = {way: [statistics.median(column) for column in zip(*runs, strict=True)] for way, runs in ways.items()}
        ratio = [one / other for one, other in zip(median["compiled"], median["by hand"], strict=True)]
        for way, runs in ways.items():
            columns = zip(*runs, strict=True)
            shown = (f"{statistics.median(column):.2f} [{min(column):.2f}-{max(column):.2f}]" for column in columns)
            print(f"{kind:9}{way:10}" + "".join(f"{text:>24}" for text in shown))
        print(f"{kind:9}{'ratio':10}{ratio[0]:>24.2f}{ratio[1]:>24.2f}")
        result[kind] = {"median": median, "ratio": {"wall": ratio[0], "cpu": ratio[1]}, "runs": ways}
    own = result["empty"]["median"]["compiled"]
    print(f"an empty step, compiled: {own[0] / steps * 1000:.1f} ms wall, {own[1] / steps * 1000:.1f} ms CPU")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--models", type=int, default=4)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--program", help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", PYTHONPATH=str(Path(__file__).parent))
    if options.program:
        program(options.program, options.root, options.models, options.jobs)
        return
    load = os.getloadavg()[0]
    found = measure(options.rounds, options.models, options.jobs)
    print(
        f"{options.models} models x {len(STEPS)} steps, {options.jobs} at a time; "
        f"load {load:.1f}, {options.rounds} rounds"
    )
    print(f"{'':19}{'wall, s':>24}{'CPU, s':>24}")
    result = report(found, options.models * len(STEPS))
    if options.json:
        options.json.write_text(json.dumps({"load": load, **result}, indent=2) + "\n")


if __name__ == "__main__":
    main()
