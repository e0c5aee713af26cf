"""What sharing costs: the first fetch of a ledger and a later one against a full clone, and adoption against training.

Prints a table and, with `--json FILE`, the same figures: bytes of packs, medians of wall seconds over interleaved
rounds, and ratios. Runs are written with the public writer, without syncing to disk, in a repository of their own.

    python benchmarks/share.py [--runs 10000] [--models 200] [--rounds 5] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.integration.clones import clone, deeper, hosted
from tests.integration.repository import Repository
from tests.unit.ledger.material import CONFIG, a_run, run_record

from custody.git.objects import open_repository
from custody.ledger.ledger import GitLedger

LEDGER = "refs/heads/mlops/ledger"
FETCHES = {
    "clone of the whole ledger": (),
    "first fetch (depth 1, no blobs)": ("--depth=1", "--filter=blob:none"),
}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def write_runs(path: Path, first: int, runs: int, models: int) -> None:
    """Append runs to the ledger of a bare repository, then pack it."""
    seconds = count(first)
    start = datetime(2026, 11, 24, tzinfo=UTC)
    ledger = GitLedger(
        open_repository(path, durable=False),
        CONFIG,
        readme=lambda _: b"ledger\n",
        tool="custody",
        clock=lambda: start + timedelta(seconds=next(seconds)),
    )
    with ledger:
        for number in range(first, first + runs):
            run = replace(a_run(f"run-{number:06}", f"m{number % models}"), metrics={"roc_auc": number / 1e6})
            ledger.append(run_record(run))


def packed(path: Path) -> int:
    """Return the bytes of a repository's packs and loose objects."""
    files = (path / "objects").rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def fetch_into(folder: Path, host: Path, options: tuple[str, ...]) -> tuple[int, float]:
    """Fetch the ledger into a new bare repository; return the bytes it then has more, and seconds."""
    if not folder.exists():
        git(folder.parent, "init", "-q", "--bare", str(folder))
        git(folder, "remote", "add", "origin", host.as_uri())
    before, began = packed(folder), time.perf_counter()
    git(folder, "fetch", "-q", "--no-tags", *options, "origin", f"{LEDGER}:{LEDGER}")
    return packed(folder) - before, time.perf_counter() - began


def fetches(folder: Path, runs: int, models: int, rounds: int) -> list[dict[str, object]]:
    host = folder / "host.git"
    git(folder, "init", "-q", "--bare", str(host))
    for key in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        git(host, "config", key, "true")
    write_runs(host, 0, runs, models)
    git(host, "gc", "-q")
    seen: dict[str, list[tuple[int, float]]] = {name: [] for name in FETCHES}
    for number in range(rounds):
        for name, options in FETCHES.items():
            seen[name].append(fetch_into(folder / f"{len(name)}-{number}.git", host, options))
    write_runs(host, runs, 10, models)
    name = next(reversed(FETCHES))
    later = [fetch_into(folder / f"{len(name)}-{number}.git", host, ()) for number in range(rounds)]
    seen["later fetch of 10 more runs"] = later
    whole = statistics.median(size for size, _ in next(iter(seen.values())))
    return [
        {
            "what": what,
            "kB": round(statistics.median(size for size, _ in found) / 1e3, 1),
            "seconds": round(statistics.median(spent for _, spent in found), 3),
            "of_whole": round(statistics.median(size for size, _ in found) / whole, 5),
        }
        for what, found in seen.items()
    ]


def applies(folder: Path, rounds: int) -> list[dict[str, object]]:
    """Time one apply that trains a change, and one of the same change that adopts what a trial made, in clones."""
    made = Repository.create(folder / "made")
    config = made.root / ".mlops/config.yaml"
    config.write_text(config.read_text() + "remote: origin\n")
    made.commit("Share the ledger")
    host = hosted(made, folder)
    done = made.apply(engine="prefect")
    if done.code:
        raise RuntimeError(done.err)
    deeper(made)
    made.commit("Deeper trees")
    made.git("push", "-q", "origin", "main")
    spent: dict[str, list[float]] = {"apply that trains": [], "apply that adopts": []}
    for number in range(rounds):
        for name, times in spent.items():
            copy = folder / f"{number}-{len(times)}-{name.split()[-1]}"
            own = shutil.copytree(host, copy.with_suffix(".git"))
            runner = clone(made, own, copy)
            if name.endswith("adopts"):
                runner.custody("try", "--commit")
            began = time.perf_counter()
            done = runner.apply(engine="prefect")
            times.append(time.perf_counter() - began)
            if done.code:
                raise RuntimeError(done.err or done.out)
    whole = statistics.median(spent["apply that trains"])
    return [
        {
            "what": name,
            "seconds": round(statistics.median(times), 3),
            "of_whole": round(statistics.median(times) / whole, 3),
        }
        for name, times in spent.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = fetches(Path(folder), options.runs, options.models, options.rounds)
        rows += applies(Path(folder, "applies"), options.rounds)
    for row in rows:
        size = f"{row['kB']:>12,} kB" if "kB" in row else " " * 15
        print(f"{row['what']:<34}{size}{row['seconds']:>10.3f} s{row['of_whole']:>10.2%}")
    if options.json:
        options.json.write_text(
            json.dumps({"runs": options.runs, "models": options.models, "rows": rows}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
