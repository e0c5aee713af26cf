"""One recorded run: custody's append beside MLflow's logging on SQLite, each in a process that is warm.

    python benchmarks/record_run.py [--rounds 20] [--mlflow PYTHON] [--json FILE]

A run of custody is one commit with specification, steps, metrics, environment and verdict, its index and notes, synced
to disk. A run of MLflow is ten parameters and ten metrics in two calls. MLflow is told by `--mlflow` or `MLFLOW`: the
Python that has it. Wall and CPU of the process at work.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from generate import generate
from interleaved import environment, finish, parser, peer
from ledger_scale import Appender

MLFLOW = """
import json, logging, sys, time, warnings
warnings.filterwarnings("ignore"); logging.disable(logging.WARNING)
import mlflow
mlflow.set_tracking_uri("sqlite:///" + sys.argv[1]); mlflow.set_experiment("bench")
for line in sys.stdin:
    wall, cpu = time.perf_counter(), time.process_time()
    with mlflow.start_run():
        mlflow.log_params({f"p{k}": line for k in range(10)})
        mlflow.log_metrics({f"m{k}": 0.1 * k for k in range(10)})
    print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]), flush=True)
"""


def main() -> None:
    options_of = parser(__doc__)
    options_of.set_defaults(rounds=20)
    options_of.add_argument("--mlflow", type=Path, help="the Python that has MLflow")
    options = options_of.parse_args()
    mlflow = peer(options.mlflow, "MLFLOW", "MLflow")
    times: dict[str, list[list[float]]] = {"custody": []}
    with tempfile.TemporaryDirectory(prefix="custody-bench-") as name:
        generate(Path(name) / "custody", 50, 200)
        appender, other = Appender(Path(name) / "custody", 50), None
        if mlflow:
            times["mlflow"] = []
            command = [mlflow, "-c", MLFLOW, f"{name}/mlflow.db"]
            pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "stderr": subprocess.DEVNULL}
            other = subprocess.Popen(command, cwd=name, env=environment(), **pipe)
        for number in range(options.rounds + 2):
            began = time.perf_counter()
            cpu = appender.once()
            found = {"custody": [time.perf_counter() - began, cpu]}
            if other:
                other.stdin.write(f"{number}\n")
                other.stdin.flush()
                found["mlflow"] = json.loads(other.stdout.readline())
            for way, seen in found.items() if number > 1 else ():
                times[way].append(seen)
        if other:
            other.stdin.close()
            other.wait()
    figures = {way: [statistics.median(column) for column in zip(*seen, strict=True)] for way, seen in times.items()}
    for way, (wall, cpu) in figures.items():
        print(f"{way:10}{wall * 1000:8.1f} ms wall{cpu * 1000:8.1f} ms CPU")
    if mlflow:
        print(f"mlflow / custody: {figures['mlflow'][1] / figures['custody'][1]:.1f} x CPU")
    finish(options, {"medians": figures})


if __name__ == "__main__":
    main()
