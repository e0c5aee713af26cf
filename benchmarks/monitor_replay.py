"""Replays the past of real data through `custody monitor`, end to end: what is paged, what is a ticket, what is missed.

    python benchmarks/monitor_replay.py --data FOLDER [--only bike|weekly|faults|batches]

FOLDER holds bike-sharing-hour.csv (UCI) and telco-customer-churn.csv (IBM). Each part makes a repository, trains and
promotes a model there, and replays windows that the model has not seen:

- bike: learnt on 2011, inputs by week and outcomes by month of 2012, all defaults
- weekly: the same, with outcomes by week and a declared `r2: {min: 0.72}`
- faults: customers by day, with seven faults planted, each on a day of its own, and all on one day
- batches: customers by day in batches of 50 to 500, nothing planted
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

Rows = list[list[str]]
CONFIG = """\
spec: 1
id: 5b0e6f3c-8f43-4f0e-9a55-6d7b4f3c2a10
channels: {everything: {uses: file, with: {path: messages.jsonl}, level: warn}}
"""
ALERT = "alert: {channels: [everything]}\n"
BIKE = {
    "datasets/bike/dataset.yaml": "owner: city\npurposes: [planning]\n"
    "source: {uses: file, with: {path: data/bike.csv}}\nkey: instant\ntime: dteday\n"
    'columns:\n  dteday: {type: date, format: "%d/%m/%y"}\n',
    "models/rentals/model.yaml": "owner: city\npurpose: planning\ntask: regression\ntarget: cnt\n"
    "stages: {production: auto}\n",
    "models/rentals/data.yaml": "dataset: bike@v1\nsplit: {by: dteday, test: 0.2}\n"
    "features: [season, mnth, hr, holiday, weekday, workingday, weathersit, temp, atemp, hum, windspeed]\n",
    "models/rentals/gates.yaml": "",
    "models/rentals/pipeline.yaml": "train: {uses: sklearn.HistGradientBoostingRegressor}\nseed: 1\n",
}
BIKE_MONITORS = "every: week\nlive: {uses: file, with: {path: live.csv}}\n" + ALERT
TELCO = {
    "datasets/customers/dataset.yaml": "owner: crm\npurposes: [retention]\n"
    'source: {uses: file, with: {path: data/customers.csv, nulls: ["", " "]}}\nkey: customerID\n',
    "models/churn/model.yaml": "owner: growth\npurpose: retention\ntask: classification\ntarget: Churn\n"
    "positive: 'Yes'\nstages: {production: auto}\n",
    "models/churn/data.yaml": "dataset: customers@v1\nsplit: {stratify: Churn, test: 0.2, seed: 7}\n",
    "models/churn/gates.yaml": "",
    "models/churn/pipeline.yaml": "train: {uses: sklearn.HistGradientBoostingClassifier}\nseed: 1\n",
    "models/churn/monitors.yaml": "every: day\nmin_rows: 50\n"
    'live: {uses: file, with: {path: live.csv, nulls: ["", " "]}, time: at}\n' + ALERT,
}


@dataclass
class Project:
    """A repository with one promoted model, and the command line on it."""

    root: Path
    seconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def make(cls, root: Path, files: dict[str, str], dataset: str) -> Project:
        made = cls(root)
        root.mkdir(parents=True)
        for command in (
            ["init", "-q", "-b", "main"],
            ["config", "user.name", "A"],
            ["config", "user.email", "a@b.org"],
        ):
            made.git(*command)
        for path, text in {".mlops/config.yaml": CONFIG, ".gitignore": ".mlops/st*/\n*.jsonl\n", **files}.items():
            made.write(path, text)
        made.custody("data", "add", dataset, "--from-source")
        made.commit()
        made.custody("apply", "--engine", "inline")
        return made

    def write(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def git(self, *arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=self.root, check=True, capture_output=True, text=True).stdout

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "Change")

    def custody(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "custody.cli.main", *arguments]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def replay(self, span: str, *arguments: str) -> dict[str, Any]:
        """Judge the windows of a span; return the sweep."""
        began = time.perf_counter()
        told: dict[str, Any] = json.loads(
            self.custody("monitor", "--replay", span, "--engine", "inline", "--json", *arguments)
        )
        self.seconds[span] = time.perf_counter() - began
        return told

    def messages(self) -> list[dict[str, Any]]:
        path = self.root / "messages.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def read(path: Path) -> tuple[list[str], Rows]:
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file))
    return header, rows


def text(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return made.getvalue()


def bike(folder: Path, data: Path, outcomes: str) -> Project:
    header, rows = read(data / "bike-sharing-hour.csv")
    by_year = {year: text(header, (row for row in rows if row[1].endswith(year))) for year in ("/11", "/12")}
    monitors = f"{BIKE_MONITORS}outcomes: {{uses: file, with: {{path: live.csv}}, join: instant{outcomes}}}\n"
    files = {**BIKE, "models/rentals/monitors.yaml": monitors, "data/bike.csv": by_year["/11"]}
    return Project.make(folder, {**files, "live.csv": by_year["/12"]}, "bike")


def told(project: Project, sweep: dict[str, Any], what: str) -> None:
    """Print what a replay came to."""
    (model,) = sweep["models"]
    judged = model["judged"]
    print(f"{what}: {len(judged)} windows in {sum(project.seconds.values()):.0f} s, reference included")
    for kind in ("inputs", "outcomes"):
        health: dict[str, int] = {}
        for item in judged:
            if item["what"] == kind:
                health[item["health"]] = health.get(item["health"], 0) + 1
        print(f"  {kind}: {', '.join(f'{count} {name}' for name, count in sorted(health.items()))}")
    messages = project.messages()
    levels = [message["level"] for message in messages if message["action"] == "trigger"]
    print(f"  incidents {len(sweep['incidents'])}, pages {levels.count('alert')}, tickets {levels.count('warn')}")
    for incident in sweep["incidents"]:
        print(f"    {incident['id']} {incident['level']} opened {incident['opened']}, last {incident['last']}")
        for signal in incident["signals"]:
            print(f"      {signal['monitor']}: {signal['text']}")


def replay_bike(folder: Path, data: Path) -> None:
    project = bike(folder / "bike", data, "")
    sweep = project.replay("2012-01-01..2012-12-31")
    told(project, sweep, "bike 2012, defaults")
    january = next(item for item in sweep["models"][0]["judged"] if item["window"]["name"] == "2012-01")
    print("  January:", *(f"\n    {signal['level']}: {signal['text']}" for signal in january["signals"]))
    again = project.replay("2012-01-01..2012-12-31")
    (model,) = again["models"]
    print(f"  again: {len(model['judged'])} judged, {model['already']} already recorded, {again['incidents']} told")
    sizes = sorted(
        len(project.git("show", f"mlops/ledger:{path}"))
        for path in project.git("ls-tree", "-r", "--name-only", "mlops/ledger", "monitoring").split()
        if "/20" in path
    )
    print(f"  a window's record: {sizes[len(sizes) // 2]:,} bytes, {sizes[-1]:,} at most")


def replay_weekly(folder: Path, data: Path) -> None:
    project = bike(folder / "weekly", data, ", every: week, r2: {min: 0.72}, bias: false")
    for weeks in range(1, 4):
        sweep = project.replay(f"2012-W01..2012-W{weeks:02}")
        opened = [f"{item['id']} opened {item['opened']}" for item in sweep["incidents"]]
        print(f"weekly r2 at least 0.72, after week {weeks}: {', '.join(opened) or 'no change'}")


FAULTS: dict[str, Callable[[dict[str, str], int], None]] = {
    "nulls": lambda row, place: row.update(tenure="" if place % 10 < 3 else row["tenure"]),
    "categories": lambda row, place: row.update(Contract="Five year" if place % 10 == 0 else row["Contract"]),
    "constant": lambda row, _: row.update(PaymentMethod="Electronic check"),
    "swapped": lambda row, _: row.update(MonthlyCharges=row["TotalCharges"], TotalCharges=row["MonthlyCharges"]),
    "text_number": lambda row, place: row.update(SeniorCitizen="unknown" if place % 20 == 0 else row["SeniorCitizen"]),
    "date format": lambda row, _: row.update(at=f"{row['at'][8:]}/{row['at'][5:7]}/{row['at'][:4]}"),
}


def customers(data: Path) -> tuple[list[str], Rows, Rows]:
    """Return the columns, the rows to learn from and those to draw live ones from."""
    header, rows = read(data / "telco-customer-churn.csv")
    random.Random(1).shuffle(rows)
    return header, rows[:5000], rows[5000:]


def live(
    header: Sequence[str], pool: Rows, sizes: Sequence[int], change: Callable[[dict[str, str], int, int], None]
) -> str:
    """Return rows of one day after another from 1 January 2024 on, drawn from `pool`; `change` may spoil them."""
    rng, rows = random.Random(2), []
    for number, size in enumerate(sizes):
        day = (date(2024, 1, 1) + timedelta(number)).isoformat()
        for place, found in enumerate(rng.choices(pool, k=size)):
            row = dict(zip(header, found, strict=True)) | {"at": day, "customerID": f"{day}-{place}"}
            change(row, number, place)
            rows.append(list(row.values()))
    return text([*header, "at"], rows)


def replay_faults(folder: Path, data: Path) -> None:
    header, known, pool = customers(data)
    project = Project.make(folder / "faults", {**TELCO, "data/customers.csv": text(header, known)}, "customers")
    sizes, bad = [100] * 33, 31
    for name, spoil in FAULTS.items():
        rows = live(header, pool, sizes, lambda row, day, place, spoil=spoil: spoil(row, place) if day == bad else None)
        project.write("live.csv", rows)
        signals = on_day(project.replay("2024-01-01..2024-02-02", "--dry-run"), bad)
        print(f"fault {name}: {'; '.join(signals) or 'NOT FOUND'}")
    project.write("live.csv", live(header, pool, sizes[:bad], lambda *_: None))
    stale = on_day(project.replay("2024-01-01..2024-02-02", "--dry-run"), bad)
    print(f"fault stale feed: {'; '.join(stale) or 'NOT FOUND'}")

    def all_of_them(row: dict[str, str], day: int, place: int) -> None:
        for spoil in FAULTS.values() if day == bad else ():
            spoil(row, place)

    project.write("live.csv", live(header, pool, sizes[: bad + 1], all_of_them))
    told(project, project.replay("2024-01-01..2024-02-02"), "all faults on 1 February, nothing after it")


def on_day(sweep: dict[str, Any], day: int) -> list[str]:
    """Return the signals of the day with this number."""
    name = (date(2024, 1, 1) + timedelta(day)).isoformat()
    return [
        f"{signal['monitor']}: {signal['text']}"
        for item in sweep["models"][0]["judged"]
        if item["window"]["name"] == name
        for signal in item["signals"]
    ]


def replay_batches(folder: Path, data: Path) -> None:
    header, known, pool = customers(data)
    rng = random.Random(3)
    sizes = [rng.randint(50, 500) for _ in range(240)]
    files = {**TELCO, "data/customers.csv": text(header, known), "live.csv": live(header, pool, sizes, lambda *_: None)}
    project = Project.make(folder / "batches", files, "customers")
    sweep = project.replay("2024-01-01..2024-08-27")
    judged = sweep["models"][0]["judged"]
    fired = {kind: sum(any(one["monitor"] == kind for one in item["signals"]) for item in judged) for kind in KINDS}
    print(f"batches of 50 to 500, {len(judged)} windows: {fired}; incidents {len(sweep['incidents'])}")


KINDS = ("drift", "prediction", "volume", "nulls", "categories", "range", "mode", "constant")
PARTS = {"bike": replay_bike, "weekly": replay_weekly, "faults": replay_faults, "batches": replay_batches}


def main() -> None:
    options_of = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options_of.add_argument("--data", type=Path, required=True, help="the folder with the two files")
    options_of.add_argument("--only", choices=tuple(PARTS), help="this part alone")
    options = options_of.parse_args()
    with tempfile.TemporaryDirectory(prefix="custody-bench-") as name:
        for part in [options.only] if options.only else PARTS:
            PARTS[part](Path(name), options.data)


if __name__ == "__main__":
    main()
