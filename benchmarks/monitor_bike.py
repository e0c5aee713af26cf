"""Replay of a year whose level nothing in the inputs shows: bike rentals, learnt on 2011, judged by month on 2012.

    python benchmarks/monitor_bike.py --data hour.csv [--every month] [--min R2] [--json FILE]

`hour.csv` is the hourly table of UCI's Bike Sharing dataset, dates as `dd/mm/yy` or ISO. Prints for each window R2 and
bias with their intervals and what the monitors of outcomes say by default; with `--min` by that limit on R2.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np

TIMES = ["season", "mnth", "hr", "holiday", "weekday", "workingday"]
INPUTS = [*TIMES, "weathersit", "temp", "atemp", "hum", "windspeed"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--every", choices=["month", "week"], default="month")
    parser.add_argument("--min", type=float)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = replay(*read(args.data), every=args.every, least=args.min)
    print(f"{'window':9} {'rows':>5} {'r2':>7} {'interval':>16} {'bias':>6} {'interval':>12}  health  signals")
    for row in rows:
        r2, bias = row["r2"], row["bias"]
        spans = f"{r2[1]:7.3f} to {r2[2]:.3f}", f"{bias[1]:.0f} to {bias[2]:.0f}"
        print(
            f"{row['window']:9} {r2[3]:5} {r2[0]:7.3f} {spans[0]:>16} {bias[0]:6.1f} {spans[1]:>12}  {row['health']:6}",
            end="  ",
        )
        print("; ".join(row["signals"]))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


def read(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return inputs, rentals and the day of each row, as datetime64."""
    with path.open(newline="") as file:
        table = list(csv.DictReader(file))
    form = "%Y-%m-%d" if "-" in table[0]["dteday"] else "%d/%m/%y"
    days = np.array([dt.datetime.strptime(row["dteday"], form).date() for row in table], dtype="datetime64[D]")  # noqa: DTZ007
    values = np.array([[float(row[name]) for name in INPUTS] for row in table])
    return values, np.array([float(row["cnt"]) for row in table]), days


def replay(
    values: np.ndarray, rentals: np.ndarray, days: np.ndarray, *, every: str, least: float | None
) -> list[dict[str, Any]]:
    """Learn 2011, and judge each window of 2012 in order."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    from custody.core.measures import Answers
    from custody.core.outcome_base import outcome_base
    from custody.core.outcomes import Joined, judge_outcomes
    from custody.domain.monitoring import Window
    from custody.domain.monitors import Every, Monitors, OutcomeLimit, Outcomes
    from custody.domain.spec import Uses
    from custody.kit.evaluation import Question
    from custody.kit.outoffold import out_of_fold

    learnt = days < np.datetime64("2012-01-01")
    blocks = windows(days, every)
    model = HistGradientBoostingRegressor(random_state=0)
    late = learnt & (np.cumsum(learnt) > 0.8 * learnt.sum())
    early = learnt & ~late
    said = model.fit(values[early], rentals[early]).predict(values[late])
    evaluated = {
        "r2": 1 - float(((said - rentals[late]) ** 2).sum() / ((rentals[late] - rentals[late].mean()) ** 2).sum())
    }
    held = out_of_fold(model, values[learnt], rentals[learnt], blocks[learnt], Question("regression", (), None, ()))
    base = outcome_base(
        Answers(np.arange(learnt.sum()), held.truth, held.predicted), blocks[learnt], 200, evaluated=evaluated
    )
    print(
        f"base r2 {evaluated['r2']:.3f}; sd {base.sd:.0f}; "
        f"{base.blocks} blocks: worst r2 {base.worst.get('r2', float('nan')):.3f}, largest bias {base.bias:.1f}"
    )
    model.fit(values[learnt], rentals[learnt])
    metrics = (OutcomeLimit("r2", min=least),) if least is not None else ()
    monitors = Monitors(Every(every), outcomes=Outcomes(Uses("file"), "instant", metrics=metrics))
    found = []
    for name in np.unique(blocks[~learnt]):
        rows = ~learnt & (blocks == name)
        first, last = days[rows].min(), days[rows].max()
        window = Window(str(name), Every(every), str(first), str(last))
        answers = Answers(np.flatnonzero(rows), rentals[rows], model.predict(values[rows]))
        end = dt.datetime.fromisoformat(str(last)).replace(tzinfo=dt.UTC) + dt.timedelta(days=1)
        joined = Joined(window, "demand", answers, days[rows], int(rows.sum()), end)
        judged = judge_outcomes(monitors, base, joined, end, in_band=True)
        nothing = (float("nan"),) * 3 + (int(rows.sum()),)
        found.append(
            {
                "window": str(name),
                "health": str(judged.health),
                "r2": judged.measures.get("r2", nothing),
                "bias": judged.measures.get("bias", nothing),
                "signals": [f"{signal.level}: {signal.text}" for signal in judged.signals],
            }
        )
    return found


def windows(days: np.ndarray, every: str) -> np.ndarray:
    if every == "month":
        return days.astype("datetime64[M]").astype(str)
    monday = days - (days.astype(np.int64) + 3) % 7
    return monday.astype(str)


if __name__ == "__main__":
    main()
