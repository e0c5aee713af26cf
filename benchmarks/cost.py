"""What custody itself costs: start-up, `check`, a no-op `plan`, and its own CPU for each run of an apply.

Prints a table and, with `--json FILE`, the same figures. Every figure is a median over interleaved rounds of CPU
seconds (user and system, children included unless said); the ratios are against `python -c "import yaml"` or
`python -c "import pygit2, yaml"` of the same rounds.

    python benchmarks/cost.py [--models 50] [--rounds 7] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

CONFIG = "spec: 1\nid: 5b0e6f3c-8f43-4f0e-9a55-6d7b4f3c2a10\n"
DATASET = "owner: cellar\npurposes: [quality]\nsource: {uses: sklearn, with: {dataset: wine}}\nkey: row\n"
OWN_CPU = """
import resource, sys
from custody.cli.main import main
code = main(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_SELF)
print(f"OWN {used.ru_utime + used.ru_stime}", file=sys.stderr)
sys.exit(code)
"""


def project(folder: Path, models: int) -> Path:
    """Make a project of `models` models on one dataset, all committed."""
    (folder / ".mlops").mkdir(parents=True)
    (folder / ".mlops/config.yaml").write_text(CONFIG)
    (folder / ".gitignore").write_text(".mlops/store/\n.mlops/state/\n")
    (folder / "datasets/wine").mkdir(parents=True)
    (folder / "datasets/wine/dataset.yaml").write_text(DATASET)
    for number in range(models):
        model = folder / f"models/wine-{number:04}"
        model.mkdir(parents=True)
        (model / "model.yaml").write_text(
            "owner: cellar\npurpose: quality\ntask: classification\ntarget: target\nstages: {production: auto}\n"
        )
        (model / "data.yaml").write_text("dataset: wine@v1\nsplit: {stratify: target, test: 0.3, seed: 5}\n")
        (model / "pipeline.yaml").write_text(
            f"train:\n  uses: sklearn.LogisticRegression\n  with: {{C: {1 + number / 10}}}\nseed: 5\n"
        )
        (model / "gates.yaml").write_text("metrics:\n  accuracy: {min: 0.5, max_drop: 0.2}\n")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "user.name", "Ann")
    git(folder, "config", "user.email", "ann@example.org")
    run(folder, [sys.executable, "-m", "custody.cli.main", "data", "add", "wine", "--from-source"])
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "Add models")
    return folder


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


def run(folder: Path, command: list[str]) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr}")
    return done.stderr


def cpu(folder: Path, command: list[str]) -> float:
    """Return the CPU seconds of one command with its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(folder, command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def own_cpu(folder: Path) -> float:
    """Return the CPU of custody's own process in a whole apply, without its step processes."""
    arguments = ["apply", "--engine", "inline"]
    report = run(folder, [sys.executable, "-c", OWN_CPU, *arguments])
    return float(report.rpartition("OWN ")[2].split()[0])


def start_up(folder: Path, rounds: int) -> dict[str, float]:
    """Return medians by name of the commands that everybody waits for, in one applied project."""
    custody = [sys.executable, "-m", "custody.cli.main"]
    commands = {
        "python": [sys.executable, "-c", "pass"],
        "import yaml": [sys.executable, "-c", "import yaml"],
        "import pygit2, yaml": [sys.executable, "-c", "import pygit2, yaml"],
        "custody --help": [*custody, "--help"],
        "custody check": [*custody, "check"],
        "custody plan (no-op)": [*custody, "plan"],
        "custody status": [*custody, "status"],
    }
    found: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name in random.sample(list(commands), len(commands)):
            found[name].append(cpu(folder, commands[name]))
    return {name: statistics.median(values) for name, values in found.items()}


def own_cost(folder: Path, few: int, many: int, rounds: int) -> float:
    """Return custody's own CPU seconds for each run: the slope between applies of `few` and of `many` models."""
    slopes = []
    for number in range(rounds):
        sizes = [(count, project(folder / f"{number}-{count}", count)) for count in (few, many)]
        (one, low), (two, high) = [(count, own_cpu(made)) for count, made in sizes]
        slopes.append((high - low) / (two - one))
        for _, made in sizes:
            shutil.rmtree(made)
    return statistics.median(slopes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ["NO_COLOR"] = "1"
    with tempfile.TemporaryDirectory() as name:
        applied = project(Path(name) / "applied", options.models)
        run(applied, [sys.executable, "-m", "custody.cli.main", "apply", "--engine", "inline"])
        times = start_up(applied, options.rounds)
        per_run = own_cost(Path(name) / "own", 2, 12, 3)
    base, warm = times["import yaml"], times["import pygit2, yaml"]
    for label, seconds in times.items():
        ratios = f"{seconds / base:5.1f} x yaml   {seconds / warm:5.1f} x pygit2, yaml"
        print(f"{label:24} {seconds * 1000:8.0f} ms CPU   {ratios}")
    print(f"{'own CPU of a run':24} {per_run * 1000:8.0f} ms CPU   (apply of 12 models less apply of 2, a model)")
    if options.json:
        figures = {"models": options.models, "rounds": options.rounds, "cpu_s": times, "own_cpu_s_per_run": per_run}
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
