"""A model under watch for tests: tables cut into windows, judged one after another as a sweep does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from custody.core.calibration import Material, reference_of
from custody.core.judging_inputs import Seen, Verdict, judge_inputs
from custody.core.profiles import texts
from custody.core.windows import windows
from custody.domain.monitoring import Counts, Health, Judged, Profile, Signal, Window
from custody.domain.monitors import Every, Monitors
from custody.domain.spec import Column
from custody.kit.profiling import edges_of, profile_of

START = datetime(2011, 1, 3, tzinfo=UTC)
"""A Monday."""


def calendar(every: Every = Every.DAY, start: datetime = START) -> Iterator[Window]:
    return windows(start, start + timedelta(days=20000), every, UTC)


def cut(table: pa.Table, rows: int) -> list[pa.Table]:
    return [table.slice(start, rows) for start in range(0, table.num_rows, rows)]


def customers(rows: int, seed: int = 0) -> pa.Table:
    """Columns of each kind, independent of one another and of time."""
    random = np.random.default_rng(seed)
    return pa.table(
        {
            "usage": random.gamma(2.0, 10.0, rows),
            "age": random.integers(18, 90, rows),
            "plan": random.choice(["basic", "plus", "pro"], rows, p=[0.6, 0.3, 0.1]),
            "paper": random.random(rows) < 0.4,
            "country": ["NL"] * rows,
        }
    )


KINDS = ("number", "number", "text", "boolean", "text")


class Watched:
    """A reference made from the first blocks, and the windows that were judged since."""

    def __init__(
        self,
        blocks: Sequence[pa.Table],
        kinds: Sequence[str] = KINDS,
        monitors: Monitors | None = None,
        *,
        timed: bool = True,
        contract: Mapping[str, Column] | None = None,
        predicted: Sequence[Counts] = (),
        hidden: Sequence[str] = (),
    ) -> None:
        self.monitors = monitors or Monitors(Every.DAY)
        whole = pa.concat_tables(blocks)
        self.edges = edges_of(whole, whole.column_names, kinds, hidden)
        self.calendar = calendar(self.monitors.every)
        found = [next(self.calendar) for _ in blocks]
        prediction = edges_of(pa.table({"p": [0.1, 0.5, 0.9] * 9}), ["p"], ["number"])["p"] if predicted else None
        material = Material(
            "churn",
            "r1",
            "customers@v1",
            self.edges,
            [profile_of(block, self.edges) for block in blocks],
            found if timed else (),
            prediction,
            predicted,
            contract or {},
        )
        self.reference = reference_of(material, self.monitors)
        self.history: list[Judged] = []

    def judge(self, table: pa.Table | Profile, **facts: Any) -> Verdict:
        """Judge the next window and keep it, as the ledger would."""
        profile = table if isinstance(table, Profile) else profile_of(table, self.edges)
        seen = Seen(next(self.calendar), profile, **facts)
        verdict = judge_inputs(self.monitors, self.reference, seen, self.history)
        assert verdict == judge_inputs(self.monitors, self.reference, seen, self.history)
        self.history.append(self.recorded(seen, verdict))
        return verdict

    def recorded(self, seen: Seen, verdict: Verdict) -> Judged:
        judged = Judged(
            "churn",
            "r1",
            "v1",
            seen.window,
            "inputs",
            Health.OK,
            seen.profile.rows,
            "",
            self.reference.digest,
            verdict.signals,
            profile=texts(seen.profile) if seen.profile.rows else {},
            prediction=seen.prediction.to_text() if seen.prediction else None,
            notes=verdict.notes,
            near=verdict.near,
        )
        return Judged.from_dict(replace(judged, together=verdict.together).to_dict())


def fired(verdict: Verdict) -> list[tuple[str, str | None, str]]:
    return [(signal.monitor, signal.column, str(signal.level)) for signal in verdict.signals]


def drifts(verdict: Verdict) -> list[Signal]:
    return [signal for signal in verdict.signals if signal.monitor == "drift"]
