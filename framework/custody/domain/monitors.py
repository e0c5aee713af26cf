"""What `monitors.yaml` declares of a model, as frozen values with all defaults filled in. Durations are in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from custody.domain.uses import Uses

AUTO, SIZE = "auto", "size"
TRAINING, PREVIOUS, SAME_PERIOD = "training", "previous", "same_period"
DAY = 86400.0


class Every(StrEnum):
    """How long a window is. Months and days are those of the configured time zone."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Level(StrEnum):
    """How bad it is when a monitor fires: `warn` opens a ticket, `alert` pages."""

    OFF = "off"
    WARN = "warn"
    ALERT = "alert"


@dataclass(frozen=True, slots=True)
class Quality:
    """Which faults of the data are looked for. `nulls` is the greatest rise of a column's share of nulls, None: off.

    `freshness` is the greatest age of the newest row; None: twice `every`, 0: off.
    """

    nulls: float | None = 0.1
    freshness: float | None = None
    volume: bool = True
    schema: Level = Level.ALERT
    constant: Level = Level.ALERT
    range: Level = Level.WARN
    categories: Level = Level.WARN
    mode: Level = Level.WARN
    text_number: Level = Level.ALERT


@dataclass(frozen=True, slots=True)
class DriftRule:
    """How distributions are compared. `stat` is psi, js, ks, w1 or chi2, `limit` is `auto`, `size` or a number.

    `paging` is a second, greater number: from there on it is an alert, whatever `severity` says.
    """

    stat: str = "psi"
    limit: str | float = AUTO
    floor: float = 0.2
    severity: Level = Level.WARN
    ignore: tuple[str, ...] = ()
    paging: float | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """What is compared with what. `confirm` is (k, n): k of the last n windows above the limit open it; None: default.

    The default is 2 of 3, and 1 of 1 for windows of a month. `reference` names what windows are compared with:
    `training`, `previous` (the four windows before), `same_period` or a dataset version `name@version`.
    """

    features: DriftRule | None = DriftRule()
    prediction: DriftRule | None = DriftRule(severity=Level.ALERT)
    reference: tuple[str, ...] = (TRAINING, PREVIOUS)
    confirm: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class OutcomeLimit:
    """Limits on one metric of the outcomes. With neither `min`, `max` nor `max_drop` declared the limit is `auto`."""

    metric: str
    min: float | None = None
    max: float | None = None
    max_drop: float | None = None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Outcomes that arrive late. `uses` reads them, `join` is the column that names a prediction (or a row's key).

    `value` is the column of what was observed (by default the target's name), `observed` that of when. `every` None:
    the longer of the model's and what holds 4 x `min_rows`. `bias` is `auto`, the greatest bias, or None: off.
    `slices` are columns whose values are judged by themselves; `estimate` asks for performance without labels.
    """

    uses: Uses
    join: str
    value: str | None = None
    observed: str | None = None
    every: Every | None = None
    delay: float = 0.0
    min_joined: float = 0.95
    metrics: tuple[OutcomeLimit, ...] = ()
    bias: str | float | None = AUTO
    estimate: bool = False
    slices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Live:
    """Where rows that were predicted come from; `uses` None: the predictions that custody journals.

    `time` is the column of when, `id` that of the prediction's id (or None), `prediction` that of what the model said;
    without one, rows are scored with the artifact that serves.
    """

    uses: Uses | None = None
    time: str | None = None
    id: str | None = None
    prediction: str | None = None


@dataclass(frozen=True, slots=True)
class Alerting:
    """Who hears of incidents: names of channels in `.mlops/config.yaml`, when it is said again, when it is over."""

    channels: tuple[str, ...] = ()
    repeat: float = DAY
    resolve_after: int = 2
    runbook: str | None = None


@dataclass(frozen=True, slots=True)
class OnAlert:
    """What is done by itself: any of notify, retrain, rollback. `max_age` bounds the version to go back to."""

    do: tuple[str, ...] = ("notify",)
    cooldown: float = 7 * DAY
    max_per_incident: int = 1
    max_age: float = 180 * DAY


@dataclass(frozen=True, slots=True)
class Monitors:
    """All that is watched of one model. `schedule` is cron's five fields; None: at the end of each window."""

    every: Every
    min_rows: int = 200
    schedule: str | None = None
    stage: str = "production"
    live: Live = Live()
    quality: Quality = Quality()
    drift: Drift = Drift()
    outcomes: Outcomes | None = None
    alert: Alerting = Alerting()
    on_alert: OnAlert = OnAlert()
    declared: Mapping[str, object] = field(default_factory=dict)
    """The file as it was written, after profiles: what is recorded and compared by a plan."""

    @property
    def declares_limits(self) -> bool:
        """Whether any limit of drift or outcomes is a number, which a reference can tell how often it would fire."""
        rules = (self.drift.features, self.drift.prediction)
        outcomes = self.outcomes
        bounds = [bound for item in outcomes.metrics for bound in (item.min, item.max)] if outcomes else []
        bounds += [outcomes.bias] if outcomes and isinstance(outcomes.bias, (int, float)) else []
        drift = any(rule and isinstance(rule.limit, (int, float)) for rule in rules)
        return drift or any(bound is not None for bound in bounds)
