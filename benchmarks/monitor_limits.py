"""What monitoring's limits do by themselves and what they find: false alarms, planted faults, speed.

Prints a table a part. `ar` needs no data: series that follow from themselves, without drift. `telco` and `bike` read
`telco-customer-churn.csv` and `bike-sharing-hour.csv` from the folder DIR.

    python benchmarks/monitor_limits.py [ar] [telco] [bike] [speed] [--data DIR] [--seeds 100]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv
from scipy.signal import lfilter

from custody.core.calibration import Material, reference_of
from custody.core.judging_inputs import Seen, Verdict, judge_inputs
from custody.core.profiles import texts
from custody.core.windows import window_of, windows
from custody.domain.monitoring import Health, Judged, Profile, Window
from custody.domain.monitors import Every, Monitors
from custody.domain.reference import Reference
from custody.kit.profiling import edges_of, profile_of

START = datetime(2011, 1, 1, tzinfo=UTC)
TELCO_NUMBERS = ("SeniorCitizen", "tenure", "MonthlyCharges", "TotalCharges")
BIKE_INPUTS = ("season", "holiday", "weekday", "workingday", "weathersit", "temp", "hum", "windspeed")


class Model:
    """A model under watch: its reference, and the windows that were judged so far."""

    def __init__(
        self,
        table: pa.Table,
        kinds: Sequence[str],
        blocks: Sequence[pa.Table],
        found: Sequence[Window],
        monitors: Monitors,
    ):
        self.edges = edges_of(table, table.column_names, kinds)
        profiles = [profile_of(block, self.edges) for block in blocks]
        material = Material("model", "run", "data@v1", self.edges, profiles, found)
        self.monitors, self.history = monitors, []
        self.reference: Reference = reference_of(material, monitors)

    def judge(self, table: pa.Table | Profile, window: Window) -> Verdict:
        profile = table if isinstance(table, Profile) else profile_of(table, self.edges)
        verdict = judge_inputs(self.monitors, self.reference, Seen(window, profile), self.history)
        self.history.append(judged(profile, window, self.reference.digest, verdict.together))
        return verdict


def judged(profile: Profile, window: Window, reference: str, together: int = 1) -> Judged:
    facts: dict[str, Any] = {"profile": texts(profile), "together": together}
    return Judged("model", "run", "v1", window, "inputs", Health.OK, profile.rows, "", reference, **facts)


def following(every: Every, start: datetime = START) -> Iterator[Window]:
    return windows(start, start + timedelta(days=36500), every, UTC)


def kinds_of(table: pa.Table) -> list[str]:
    return ["text" if pa.types.is_string(field.type) else "number" for field in table.schema]


def drifts(verdict: Verdict) -> list[Any]:
    return [signal for signal in verdict.signals if signal.monitor == "drift"]


def confirmed(fired: Sequence[bool]) -> float:
    """The share of windows in which two of the last three fired."""
    return float(
        np.mean([fired[place] and sum(fired[max(0, place - 2) : place + 1]) > 1 for place in range(len(fired))])
    )


def series(phi: float, rows: int, columns: int, random: np.random.Generator) -> pa.Table:
    noise = random.normal(size=(rows + 1000, columns)) * np.sqrt(1 - phi * phi)
    values = lfilter([1], [1, -phi], noise, axis=0)[1000:]
    return pa.table({f"x{column}": values[:, column] for column in range(columns)})


def ar(options: argparse.Namespace) -> None:
    print("\nAR(1) without drift: windows with any signal (mean over seeds, worst tenth of seeds), 2 of 3")
    for columns in (1, 10):
        for rows, blocks in ((168, 12), (168, 16), (168, 52), (720, 12), (720, 11)):
            for phi in (0.0, 0.5, 0.9, 0.97):
                raw, firm, rest, noted = [], [], 60, 0
                for seed in range(max(4, options.seeds // columns)):
                    random = np.random.default_rng([seed, columns, rows, blocks])
                    table = series(phi, rows * (blocks + rest), columns, random)
                    parts = [table.slice(place * rows, rows) for place in range(blocks + rest)]
                    when = following(Every.DAY)
                    days = [next(when) for _ in parts]
                    head = table.slice(0, rows * blocks)
                    model = Model(
                        head, ["number"] * columns, parts[:blocks], days[:blocks], Monitors(Every.DAY, min_rows=rows)
                    )
                    verdicts = [model.judge(part, day) for part, day in zip(parts[blocks:], days[blocks:], strict=True)]
                    noted += any("is not judged" in note for note in verdicts[0].notes)
                    fired = [bool(verdict.signals) for verdict in verdicts]
                    raw.append(float(np.mean(fired)))
                    firm.append(confirmed(fired))
                told = f"  {noted}/{len(raw)} say what is not judged" if noted else ""
                what = f"{columns:>3} columns {rows:>4} rows {blocks:>3} blocks phi {phi:<4}"
                print(
                    f"{what}: {np.mean(raw):6.2%} ({np.quantile(raw, 0.9):6.2%})  {np.mean(firm):6.2%}{told}",
                    flush=True,
                )


def telco_table(folder: Path) -> pa.Table:
    table = csv.read_csv(folder / "telco-customer-churn.csv").drop_columns(["customerID", "Churn"])
    total = pc.if_else(pc.equal(pc.utf8_trim_whitespace(table["TotalCharges"]), ""), None, table["TotalCharges"])
    return table.set_column(table.column_names.index("TotalCharges"), "TotalCharges", total.cast(pa.float64()))


def telco(options: argparse.Namespace) -> None:
    table = telco_table(options.data)
    random = np.random.default_rng(1)
    order = random.permutation(table.num_rows)
    reference, rest = table.take(order[:5000]), table.take(order[5000:])
    print("\nTELCO random batches against 5,000 rows: windows with any signal of drift | of any other kind but volume")
    for rows in (50, 100, 200, 500):
        for least in (50, 200):
            model = Model(reference, kinds_of(table), [reference], [], Monitors(Every.DAY, min_rows=least))
            fired, other, when = [], [], following(Every.DAY)
            for _ in range(options.seeds * 2):
                batch = rest.take(random.choice(rest.num_rows, rows, replace=False))
                verdict = model.judge(batch, next(when))
                fired.append(bool(drifts(verdict)))
                other.append([signal.text for signal in verdict.signals if signal.monitor not in {"drift", "volume"}])
            others = np.mean([bool(item) for item in other])
            example = next((item for item in other if item), "")
            print(f"{rows:>4} rows, min_rows {least:>3}: {np.mean(fired):6.2%} | {others:6.2%}", example)
    print("\nTELCO planted faults, the first window of 300 rows")
    for name, fault in faults(random).items():
        model = Model(reference, kinds_of(table), [reference], [], Monitors(Every.DAY))
        when = following(Every.DAY)
        for _ in range(8):
            model.judge(rest.take(random.choice(rest.num_rows, 300, replace=False)), next(when))
        verdict = model.judge(fault(rest.take(random.choice(rest.num_rows, 300, replace=False))), next(when))
        print(
            f"  {name}:",
            *(
                f"\n      {signal.level} {signal.monitor}{' at once' if signal.at_once else ''}: {signal.text}"
                for signal in verdict.signals[:5]
            ),
        )


def faults(random: np.random.Generator) -> dict[str, Any]:
    def put(table: pa.Table, name: str, values: Any) -> pa.Table:
        return table.set_column(table.column_names.index(name), name, values)

    def some(table: pa.Table, name: str, value: Any, share: float) -> pa.Table:
        mask = pa.array(random.random(table.num_rows) < share)
        return put(table, name, pc.if_else(mask, pa.scalar(value, table[name].type), table[name]))

    def swapped(table: pa.Table, a: str, b: str) -> pa.Table:
        return put(put(table, a, table[b]), b, table[a])

    def text(table: pa.Table) -> pa.Table:
        values = [
            f"{value} USD" if place % 50 == 0 else str(value)
            for place, value in enumerate(table["MonthlyCharges"].to_pylist())
        ]
        return put(table, "MonthlyCharges", pa.array(values))

    return {
        "nulls in 30 % of tenure": lambda table: some(table, "tenure", None, 0.3),
        "nulls in 30 % of Contract": lambda table: some(table, "Contract", None, 0.3),
        "new category": lambda table: some(table, "PaymentMethod", "Crypto", 0.03),
        "constant number": lambda table: put(table, "MonthlyCharges", pa.array([70.0] * table.num_rows)),
        "constant category": lambda table: put(table, "gender", pa.array(["Male"] * table.num_rows)),
        "swapped numbers": lambda table: swapped(table, "tenure", "MonthlyCharges"),
        "swapped categories": lambda table: swapped(table, "Partner", "PaperlessBilling"),
        "text in a number column": text,
        "column gone": lambda table: table.drop_columns(["tenure"]),
        "stale feed: no rows": lambda table: table.slice(0, 0),
    }


def bike_table(folder: Path) -> pa.Table:
    return csv.read_csv(folder / "bike-sharing-hour.csv")


def bike(options: argparse.Namespace) -> None:
    table = bike_table(options.data)
    moments = [
        datetime.strptime(day, "%d/%m/%y").replace(tzinfo=UTC) + timedelta(hours=hour)
        for day, hour in zip(table["dteday"].to_pylist(), table["hr"].to_pylist(), strict=True)
    ]
    inputs = table.select(BIKE_INPUTS)
    print("\nBIKE: reference 2011, windows of 2012 that show anything")
    for every, least in ((Every.DAY, 200), (Every.WEEK, 200), (Every.WEEK, 100), (Every.MONTH, 200)):
        parts: dict[str, list[int]] = {}
        for place, moment in enumerate(moments):
            parts.setdefault(window_of(moment, every, UTC).name, []).append(place)
        found = {window.name: window for window in windows(moments[0], moments[-1], every, UTC)}
        tables = {name: inputs.take(parts.get(name, [])) for name in found}
        old = [name for name, window in found.items() if window.end <= "2012-01-01T01"]
        rows = sum(tables[name].num_rows for name in old)
        model = Model(
            inputs.slice(0, rows),
            ["number"] * len(BIKE_INPUTS),
            [tables[name] for name in old],
            [found[name] for name in old],
            Monitors(every, min_rows=least),
        )
        for name in old:
            model.judge(tables[name], found[name])
        print(
            f"\n{every}: {model.reference.blocks} blocks",
            {
                name: known.why or {which: (limit.value, limit.sees) for which, limit in known.limits.items()}
                for name, known in model.reference.columns.items()
            },
        )
        shown: dict[str, list[bool]] = {}
        for name in [name for name in found if name not in old]:
            for fault, column, changed in planted(tables[name]):
                seen = Seen(found[name], profile_of(changed, model.edges))
                signals = judge_inputs(model.monitors, model.reference, seen, model.history).signals
                shown.setdefault(f"{fault} {column}", []).append(any(one.column == column for one in signals))
            verdict = model.judge(tables[name], found[name])
            for signal in verdict.signals:
                print("   ", name, signal.level, signal.monitor, signal.text)
        print("   ", verdict.notes)
        print("    planted, seen at once:", {fault: f"{np.mean(told):.0%}" for fault, told in shown.items()})


def planted(table: pa.Table) -> Iterator[tuple[str, str, pa.Table]]:
    """A fault in one column of a window, as the reference study planted them."""
    sd = {"temp": 0.19, "hum": 0.2, "windspeed": 0.12}
    for column, width in sd.items():
        values = table[column]
        stuck = pa.array([pc.mean(values).as_py()] * len(values))
        for fault, changed in {
            "+1 sd": pc.add(values, width),
            "+2 sd": pc.add(values, 2 * width),
            "unit": pc.add(pc.multiply(values, 1.8), 0.32),
            "stuck": stuck,
            "nulls 30 %": pc.if_else(pa.array(np.arange(len(values)) % 10 < 3), None, values),
        }.items():
            yield fault, column, table.set_column(table.column_names.index(column), column, changed)


def speed(_: argparse.Namespace) -> None:
    random = np.random.default_rng(0)
    rows = 100_000
    table = pa.table(
        {
            **{f"n{i}": random.normal(size=rows) for i in range(15)},
            **{f"c{i}": random.choice(list("abcdefgh"), rows) for i in range(5)},
        }
    )
    when = following(Every.DAY)
    parts = [table.slice(place * 5000, 5000) for place in range(20)]
    model = Model(table, kinds_of(table), parts, [next(when) for _ in parts], Monitors(Every.DAY))
    taken = []
    for _ in range(7):
        start = time.perf_counter()
        profile = profile_of(table, model.edges)
        judge_inputs(model.monitors, model.reference, Seen(next(when), profile), model.history)
        taken.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n100k x 20, profile and judge, warm: {statistics.median(taken):.3f} s, peak {peak:.0f} MB with the table")
    wide = pa.table({f"column_{i:02}": random.normal(size=400 * 500) for i in range(30)})
    parts = [wide.slice(place * 500, 500) for place in range(400)]
    when = following(Every.DAY)
    model = Model(wide, ["number"] * 30, parts[:35], [next(when) for _ in range(35)], Monitors(Every.DAY))
    found = [(profile_of(part, model.edges), next(when)) for part in parts[35:]]
    history = [judged(profile, window, model.reference.digest) for profile, window in found]
    start = time.perf_counter()
    for place, (profile, window) in enumerate(found):
        judge_inputs(model.monitors, model.reference, Seen(window, profile), history[:place])
    print(f"365 windows x 30 columns judged: {time.perf_counter() - start:.3f} s")
    print(
        "a window's profile:",
        max(len(json.dumps(texts(profile))) for profile, _ in found),
        "B; of 100k rows:",
        len(json.dumps(texts(profile_of(wide.slice(0, 100_000), model.edges)))),
        "B; reference:",
        len(json.dumps(model.reference.to_dict())),
        "B",
    )


PARTS = {"ar": ar, "telco": telco, "bike": bike, "speed": speed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=PARTS, default=[])
    parser.add_argument("--data", type=Path, default=Path())
    parser.add_argument("--seeds", type=int, default=100)
    options = parser.parse_args()
    for name in options.parts or PARTS:
        PARTS[name](options)


if __name__ == "__main__":
    main()
