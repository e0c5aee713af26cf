"""The ledger at 1,000, 10,000 and 100,000 records: append, fold of the state, rebuild of the index.

    python benchmarks/ledger_scale.py [--records 3100,10000,100000] [--models 1000] [--keep DIR] [--json FILE]

The appends are run records by the public writer, synced to disk, one repository after the other in turn; their cost is
CPU of this process. The index is rebuilt in a process of its own: records a CPU-second, and its memory at the end, of
its own and what of the repository's packs is mapped into it, which any other process may have back.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from generate import Maker, generate
from interleaved import environment, finish, parser

from custody.app.project import open_project

REBUILD = """
import json, sys, time
from pathlib import Path
from custody.app.project import open_project
ledger = open_project(Path(sys.argv[1])).ledger
began = time.process_time()
count = sum(1 for _ in ledger._rows("SELECT 1 FROM commits"))
cpu = time.process_time() - began
lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
kib = {line[0]: int(line[1]) for line in lines if line[0] in {"RssAnon:", "RssFile:", "VmHWM:"}}
memory = {"own": kib["RssAnon:"] / 1024, "mapped": kib["RssFile:"] / 1024, "peak": kib["VmHWM:"] / 1024}
print(json.dumps({"records": count, "cpu": cpu, **memory}))
"""


class Appender:
    """Appends runs to one generated repository."""

    def __init__(self, folder: Path, models: int) -> None:
        self.project = open_project(folder)
        self.maker = Maker(self.project, [str(self.project.worktree.head())] * models)
        self.maker.made = 10**7
        self.models, self.count = models, 0

    def once(self) -> float:
        """Append one run of the next model; return CPU seconds."""
        self.count += 1
        _, record = self.maker.run(self.count * 7 % self.models, None)
        commit = f"{self.count:040x}"
        record = replace(record, notes=tuple((commit, line) for _, line in record.notes))
        began = time.process_time()
        self.project.ledger.append(record)
        return time.process_time() - began


def fold(folder: Path) -> float:
    """Return the CPU seconds of reading the state of every model."""
    project = open_project(folder)
    began = time.process_time()
    for state in project.ledger.state().models.values():
        _ = state.run
    return time.process_time() - began


def rebuild(folder: Path) -> dict[str, Any]:
    """Remove the index and have it made again."""
    import json

    for path in (folder / ".git/custody").glob("index.db*"):
        path.unlink()
    done = subprocess.run(
        [sys.executable, "-c", REBUILD, str(folder)], capture_output=True, text=True, check=True, env=environment()
    )
    return json.loads(done.stdout)


def main() -> None:
    options_of = parser(__doc__)
    options_of.set_defaults(rounds=20)
    options_of.add_argument("--records", default="3100,10000,100000")
    options_of.add_argument("--models", type=int, default=1000)
    options_of.add_argument("--keep", type=Path, metavar="DIR", help="make the repositories here, or use those there")
    options = options_of.parse_args()
    sizes = [int(size) for size in options.records.split(",")]
    with tempfile.TemporaryDirectory(prefix="custody-bench-") as name:
        folders = {size: (options.keep or Path(name)) / str(size) for size in sizes}
        for size, folder in folders.items():
            if not folder.exists():
                generate(folder, options.models, size)
                print(f"made {size} records", file=sys.stderr)
        figures: dict[int, dict[str, Any]] = {size: rebuild(folder) for size, folder in folders.items()}
        appenders = {size: Appender(folder, options.models) for size, folder in folders.items()}
        for appender in appenders.values():
            appender.once()
        times = {size: [] for size in sizes}
        folds = {size: [] for size in sizes}
        for number in range(options.rounds):
            for size in sizes if number % 2 else sizes[::-1]:
                times[size].append(appenders[size].once())
                if number < 3:
                    folds[size].append(fold(folders[size]))
    titles = f"{'records':>10}{'append, ms CPU':>16}{'x least':>9}{'fold, ms CPU':>14}{'index, /CPU s':>15}"
    print(f"{titles}{'own, MiB':>10}{'mapped':>8}")
    for size, row in figures.items():
        row |= {"append": statistics.median(times[size]), "fold": statistics.median(folds[size])}
        ratio, rate = row["append"] / figures[sizes[0]]["append"], row["records"] / row["cpu"]
        print(f"{size:>10}{row['append'] * 1000:>16.2f}{ratio:>9.2f}", end="")
        print(f"{row['fold'] * 1000:>14.0f}{rate:>15,.0f}{row['own']:>10.0f}{row['mapped']:>8.0f}")
    finish(options, {"models": options.models, "records": figures})


if __name__ == "__main__":
    main()
