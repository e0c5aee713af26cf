"""One window of live data judged against its reference, beside Evidently: 20 columns, two of which have moved.

    python benchmarks/monitor_window.py [--rows 100000] [--rounds 5] [--evidently PYTHON] [--json FILE]

Each is a process that is warm: libraries are imported, the reference is made. A run reads the window's Parquet file
and makes the JSON that is kept; both take turns. CPU and wall time are of a run, memory is the most that the process
took, `found` names the columns that it calls drifted. `year` judges 365 stored windows of 30 columns from their counts.

Evidently has its own Python, told by `--evidently` or `EVIDENTLY`: pip install evidently "pandas<3" in a venv.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from interleaved import environment, finish, parser, peer

NUMBERS, TEXTS = 15, 5
MOVED = ("n0", "n1")
SHIFT = 0.3
"""In standard deviations."""
THEIR_RULE = "custody, w1 > 0.1"
"""The distance and the limit that Evidently takes by default for this many rows, from custody's counts."""
LIMITS = {"wall": 0.5, "memory": 200e6, "times": 20.0, "year": 1.0, "record": 4096}


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--rows", type=int, default=100_000)
    made.add_argument("--evidently", type=Path, metavar="PYTHON")
    made.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = made.parse_args()
    if options.worker:
        work(options.worker[0], Path(options.worker[1]))
        return
    pythons = {"custody": sys.executable, THEIR_RULE: sys.executable}
    if (found := peer(options.evidently, "EVIDENTLY", "Evidently")) is not None:
        pythons["evidently"] = found
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder), options.rows)
        figures = {"rows": options.rows, "ways": turns(pythons, Path(folder), options.rounds), "year": year()}
    show(figures)
    finish(options, figures)


def generate(folder: Path, rows: int) -> None:
    """Write `reference.parquet` and `window.parquet`."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    for name in ("reference", "window"):
        moved = MOVED if name == "window" else ()
        columns: dict[str, Any] = {
            f"n{place}": rng.normal(SHIFT if f"n{place}" in moved else 0.0, 1.0, rows) for place in range(NUMBERS)
        }
        for place in range(TEXTS):
            names = np.array([f"{chr(97 + place)}{number}" for number in range(5 + place)])
            columns[f"t{place}"] = names[rng.integers(0, len(names), rows)]
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")


def turns(pythons: dict[str, str], folder: Path, rounds: int) -> dict[str, dict[str, Any]]:
    """Let each judge the window once a round, in shuffled order, after a round that does not count."""
    workers = {name: Worker(python, name, folder) for name, python in pythons.items()}
    seen: dict[str, list[dict[str, Any]]] = {name: [] for name in workers}
    for number in range(rounds + 1):
        for name in random.sample(list(workers), len(workers)):
            found = workers[name].ask()
            seen[name] += [found] if number else []
    return {name: {**workers[name].end(), **medians(runs)} for name, runs in seen.items()}


def medians(runs: list[dict[str, Any]]) -> dict[str, Any]:
    times = {name: statistics.median(run[name] for run in runs) for name in ("wall", "cpu")}
    return {**runs[-1], **times, "same": len({run["digest"] for run in runs}) == 1}


class Worker:
    """A process that judges the window each time it is asked."""

    def __init__(self, python: str, name: str, folder: Path) -> None:
        command = [python, str(Path(__file__).resolve()), "--worker", name, str(folder)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
        )
        self.ready = self.ask()

    def ask(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args}: ended with {self.process.wait()}")
        return json.loads(line)

    def end(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        return self.ready


def work(name: str, folder: Path) -> None:
    """Get ready at the first line, and judge at each further one; answer each in a line of JSON."""
    judge: Callable[[], tuple[bytes, list[str]]] | None = None
    out = sys.stdout
    sys.stdout = sys.stderr  # whatever libraries print
    for _ in sys.stdin:
        began, cpu = time.perf_counter(), time.process_time()
        if judge is None:
            judge = evidently(folder) if name == "evidently" else custody(folder, name)
            answer: dict[str, Any] = {"ready": time.perf_counter() - began, "memory_ready": peak()}
        else:
            data, found = judge()
            answer = {"wall": time.perf_counter() - began, "cpu": time.process_time() - cpu, "memory": peak()}
            answer |= {"bytes": len(data), "found": found, "digest": hash(data)}
        out.write(json.dumps(answer) + "\n")
        out.flush()


def peak() -> int:
    """The most memory that this process took, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def custody(folder: Path, name: str) -> Callable[[], tuple[bytes, list[str]]]:
    """The reference is 24 blocks of its rows, as of as many days; its rows are let go."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from custody.core.judging_inputs import Seen, judge_inputs
    from custody.kit.profiling import profile_of

    table = pq.read_table(folder / "reference.parquet")
    edges, blocks = cells_and_blocks(table, 24)
    monitors, window = watched(name), day(24)
    reference = reference_of_blocks(edges, blocks, monitors)
    del table
    pa.default_memory_pool().release_unused()

    def judge() -> tuple[bytes, list[str]]:
        live = pq.read_table(folder / "window.parquet")
        profile = profile_of(live, edges)
        verdict = judge_inputs(monitors, reference, Seen(window, profile), ())
        drifted = sorted({str(signal.column) for signal in verdict.signals if signal.monitor == "drift"})
        return record(reference, window, profile, verdict), drifted

    return judge


def evidently(folder: Path) -> Callable[[], tuple[bytes, list[str]]]:
    import pandas as pd
    from evidently import Dataset, Report
    from evidently.presets import DataDriftPreset

    reference = Dataset.from_pandas(pd.read_parquet(folder / "reference.parquet"))

    def judge() -> tuple[bytes, list[str]]:
        live = Dataset.from_pandas(pd.read_parquet(folder / "window.parquet"))
        made = Report([DataDriftPreset()]).run(live, reference)
        text = made.json()
        return text.encode(), drifted_columns(json.loads(text))

    return judge


def drifted_columns(report: dict[str, Any]) -> list[str]:
    """Read Evidently's answer: the columns beyond their own threshold."""
    found = []
    for metric in report["metrics"]:
        config = metric.get("config", {})
        if "column" in config and isinstance(metric["value"], float):
            p_value = "p_value" in str(config.get("method", "")) or "p_value" in metric.get("metric_name", "")
            limit = config.get("threshold", 0.1)
            if metric["value"] < limit if p_value else metric["value"] >= limit:
                found.append(config["column"])
    return found


def cells_and_blocks(table: Any, count: int) -> tuple[Any, list[Any]]:
    from custody.kit.frame import kinds_of
    from custody.kit.profiling import edges_of, profile_of

    edges = edges_of(table, table.column_names, kinds_of(table, table.column_names))
    rows = table.num_rows // count
    return edges, [profile_of(table.slice(place * rows, rows), edges) for place in range(count)]


def reference_of_blocks(edges: Any, blocks: list[Any], monitors: Any) -> Any:
    from custody.core.calibration import Material, reference_of

    windows = [day(place) for place in range(len(blocks))]
    return reference_of(Material("bench", "run", "rows@v1", edges, blocks, windows), monitors)


def watched(name: str) -> Any:
    from custody.domain.monitors import Drift, DriftRule, Every, Monitors

    rule = DriftRule(stat="w1", limit=0.1) if name == THEIR_RULE else DriftRule()
    return Monitors(Every.DAY, drift=Drift(features=rule))


def day(number: int) -> Any:
    from datetime import UTC, datetime, timedelta
    from zoneinfo import ZoneInfo

    from custody.core.windows import window_of
    from custody.domain.monitors import Every

    return window_of(datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=number), Every.DAY, ZoneInfo("UTC"))


def judged(reference: Any, window: Any, profile: Any, verdict: Any) -> Any:
    from custody.domain.monitoring import Health, Judged

    counts = {name: item.to_text() for name, item in profile.columns.items()}
    return Judged(
        "bench",
        "run",
        "v1",
        window,
        "inputs",
        Health.WARN if verdict.signals else Health.OK,
        profile.rows,
        "0" * 64,
        reference.digest,
        verdict.signals,
        profile=counts,
        notes=verdict.notes,
    )


def record(reference: Any, window: Any, profile: Any, verdict: Any) -> bytes:
    from custody.digest import canonical_json

    return canonical_json(judged(reference, window, profile, verdict).to_dict())


def year() -> dict[str, float]:
    """Judge 365 stored windows of 30 columns in order, each with those before it; of 400 rows, as small windows are."""
    import numpy as np
    import pyarrow as pa

    from custody.core.judging_inputs import Seen, judge_inputs

    rng = np.random.default_rng(1)
    rows = 400
    table = pa.table({f"c{place}": rng.normal(size=rows * 389) for place in range(30)})
    edges, blocks = cells_and_blocks(table, 389)
    monitors, history = watched("custody"), []
    reference = reference_of_blocks(edges, blocks[:24], monitors)
    began, cpu = time.perf_counter(), time.process_time()
    for number, profile in enumerate(blocks[24:], 24):
        verdict = judge_inputs(monitors, reference, Seen(day(number), profile), history)
        history.append(judged(reference, day(number), profile, verdict))
    wall, spent = time.perf_counter() - began, time.process_time() - cpu
    largest = max(len(json.dumps(item.to_dict(), separators=(",", ":"))) for item in history)
    fired = sum(bool(item.signals) for item in history)
    return {"wall": wall, "cpu": spent, "windows": len(history), "fired": fired, "largest": largest}


def show(figures: dict[str, Any]) -> None:
    """Print the table, the ratios, and what the limits are."""
    ways, base = figures["ways"], figures["ways"]["custody"]
    head = f"{figures['rows']:,} rows of {NUMBERS + TEXTS} columns"
    print(f"\n{head:34}{'wall, s':>9}{'CPU, s':>9}{'memory, MB':>12}{'result, kB':>12}{'ready, s':>10}  found")
    for name, way in ways.items():
        numbers = f"{way['wall']:>9.3f}{way['cpu']:>9.3f}{way['memory'] / 1e6:>12.0f}{way['bytes'] / 1e3:>12.1f}"
        print(f"{name:34}{numbers}{way['ready']:>10.1f}  {', '.join(way['found']) or 'none'}")
    if "evidently" in ways:
        other = ways["evidently"]
        ratios = [f"{other[name] / base[name]:.1f} x {name}" for name in ("wall", "cpu", "memory", "bytes")]
        print(f"{'evidently / custody':34}{', '.join(ratios)} (to reach: {LIMITS['times']:.0f} x wall)")
    print(f"to reach: {LIMITS['wall']} s, {LIMITS['memory'] / 1e6:.0f} MB; the same bytes each time: {base['same']}")
    row = figures["year"]
    spent = f"{row['wall']:.2f} s, CPU {row['cpu']:.2f} s (to reach: {LIMITS['year']:.0f} s)"
    print(f"year: {row['windows']} windows of 30 columns in {spent}")
    print(f"{row['fired']} of them with a signal; largest record {row['largest']} bytes (of {LIMITS['record']})")


if __name__ == "__main__":
    main()
