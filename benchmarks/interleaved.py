"""What the benchmark scripts share: commands timed in turn, medians and ratios, a table, and where the peers are.

A peer is told by an option or a variable of the environment; one that is not there is left out, and said so.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

BASE = [sys.executable, "-c", "import pygit2, yaml"]
CUSTODY = [sys.executable, "-m", "custody.cli.main"]
Times = tuple[float, float]
"""Wall and CPU seconds, of the process and all that it started."""


def environment() -> dict[str, str]:
    """Return variables for a fair run: nothing drawn, nothing sent, byte code kept as an installed program has it."""
    quiet = {"NO_COLOR": "1", "DVC_NO_ANALYTICS": "1", "DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | quiet


def timed(command: Sequence[str], folder: Path, *, codes: Sequence[int] = (0,), says: str = "") -> Times:
    """Run a command and return what it cost. Ends the benchmark where it fails, or does not say `says`."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment())
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in codes or says not in done.stdout + done.stderr:
        raise SystemExit(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def interleave(ways: Mapping[str, Callable[[], Times]], rounds: int) -> dict[str, dict[str, float]]:
    """Run all ways once a round in shuffled order, after one round that does not count; return medians."""
    seen: dict[str, list[Times]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name in random.sample(list(ways), len(ways)):
            found = ways[name]()
            seen[name] += [found] if number else []
    return {name: summary(times) for name, times in seen.items()}


def summary(times: Sequence[Times]) -> dict[str, float]:
    """Return the medians, and the least and most CPU."""
    walls, cpus = zip(*times, strict=True)
    return {
        "wall": statistics.median(walls),
        "cpu": statistics.median(cpus),
        "least": min(cpus),
        "most": max(cpus),
    }


def table(title: str, rows: Mapping[str, Mapping[str, float]], base: str) -> None:
    """Print medians, and the ratio of CPU to the row called `base`."""
    print(f"\n{title:44}{'CPU, ms':>10}{'wall, ms':>10}{'x ' + base:>30}")
    for name, row in rows.items():
        ratio = row["cpu"] / rows[base]["cpu"] if rows.get(base) else float("nan")
        print(f"{name:44}{row['cpu'] * 1000:>10.0f}{row['wall'] * 1000:>10.0f}{ratio:>30.2f}")


def peer(given: Path | None, variable: str, what: str) -> str | None:
    """Return the program of a peer, from the option or the environment; None, and a line, where there is none."""
    found = given or (Path(os.environ[variable]) if os.environ.get(variable) else None)
    if found is None:
        print(f"{what} is left out: --{variable.lower().replace('_', '-')} PATH or {variable}=PATH adds it")
        return None
    if not found.exists():
        raise SystemExit(f"{variable}: there is no {found}")
    return str(found)


def parser(text: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that all have."""
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    return made


def finish(options: argparse.Namespace, figures: Mapping[str, Any]) -> None:
    """Say how busy the machine is, and write the JSON that is asked for."""
    load = os.getloadavg()[0]
    print(f"\nload {load:.1f} on {os.cpu_count()} cores, {options.rounds} rounds in turn, medians")
    if options.json:
        report = {"load": load, "cores": os.cpu_count(), "rounds": options.rounds, **figures}
        options.json.write_text(json.dumps(report, indent=2) + "\n")
