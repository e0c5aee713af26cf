"""From a monitors.yaml to `domain.monitors`: short forms and defaults, and what its schema cannot say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from custody.domain.monitors import (
    AUTO,
    DAY,
    Alerting,
    Drift,
    DriftRule,
    Every,
    Level,
    Live,
    Monitors,
    OnAlert,
    OutcomeLimit,
    Outcomes,
    Quality,
)
from custody.domain.problem import Problem
from custody.domain.spec import Document
from custody.spec.limits import bounds, reach
from custody.spec.uses import seconds, uses_of
from custody.spec.words import say

OFF = ("off", False)
STATS = ("psi", "js", "ks", "w1", "chi2")
LIVE_COLUMNS = ("time", "id", "prediction")
OUTCOME_COLUMNS = ("join", "value", "observed")
_OUTCOME_KEYS = frozenset(
    {"uses", "with", *OUTCOME_COLUMNS, "every", "delay", "min_joined", "bias", "estimate", "slices"}
)
"""The keys of `outcomes` that are no metrics."""
_LEVELS = ("schema", "constant", "range", "categories", "mode", "text_number")
_AT_MOST_1 = frozenset({"js", "ks", "chi2"})
_LONGEST = 3660 * DAY
_DURATIONS = ("quality.freshness", "outcomes.delay", "alert.repeat", "on_alert.cooldown", "on_alert.max_age")


def monitors(value: Mapping[str, Any]) -> Monitors:
    """Return what a monitors.yaml declares, defaults filled in."""
    given = {name: value[name] for name in ("schedule", "stage") if name in value}
    given |= {"min_rows": int(value["min_rows"])} if "min_rows" in value else {}
    return Monitors(
        every=Every(value["every"]),
        live=_live(value["live"]) if "live" in value else Live(),
        quality=_quality(value.get("quality", {})),
        drift=_drift(value.get("drift", {})),
        outcomes=_outcomes(value["outcomes"]) if "outcomes" in value else None,
        alert=_alerting(value.get("alert", {})),
        on_alert=_on_alert(value.get("on_alert", {})),
        declared=value,
        **given,
    )


def outcome_metrics(value: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the metrics that `outcomes` names."""
    return tuple(name for name in value if name not in _OUTCOME_KEYS)


def _live(value: Mapping[str, Any]) -> Live:
    return Live(uses_of(value), **{name: value[name] for name in LIVE_COLUMNS if name in value})


def _quality(value: Mapping[str, Any]) -> Quality:
    usual = Quality()
    nulls, freshness, volume = (value.get(name, True) for name in ("nulls", "freshness", "volume"))
    rise = nulls.get("max_rise", True) if isinstance(nulls, Mapping) else nulls
    levels = {name: _level(value[name], getattr(usual, name)) for name in _LEVELS if name in value}
    return Quality(
        nulls=None if _off(rise) else usual.nulls if rise is True else float(rise),
        freshness=0.0 if _off(freshness) else None if freshness is True else seconds(freshness),
        volume=not _off(volume),
        **levels,
    )


def _level(value: str | bool, usual: Level) -> Level:  # noqa: FBT001
    if isinstance(value, bool):
        return usual if value else Level.OFF
    return Level(value)


def _off(value: Any) -> bool:
    return value is False or value == "off"


def _drift(value: Mapping[str, Any]) -> Drift:
    usual = Drift()
    reference, confirm = value.get("reference", usual.reference), value.get("confirm")
    return Drift(
        features=_rule(value.get("features", True), Level.WARN),
        prediction=_rule(value.get("prediction", True), Level.ALERT),
        reference=(reference,) if isinstance(reference, str) else tuple(reference),
        confirm=_confirm(confirm) if confirm else None,
    )


def _confirm(text: str) -> tuple[int, int]:
    above, _, windows = text.partition(" of ")
    return int(above), int(windows)


def _rule(value: Any, severity: Level) -> DriftRule | None:
    """Return the rule that a mapping, a bare limit, or `off` stands for."""
    if _off(value):
        return None
    if not isinstance(value, Mapping):
        return DriftRule(severity=severity) if value is True else DriftRule(limit=value, severity=severity)
    stat = next((name for name in STATS if name in value), None)
    limit, paging = value.get(stat or "limit", AUTO), None
    severity = Level(value.get("severity", severity))
    if isinstance(limit, Mapping):
        severity = Level.WARN if "warn" in limit else Level.ALERT
        limit, paging = limit.get("warn", limit.get("alert", AUTO)), limit.get("alert") if "warn" in limit else None
    return DriftRule(
        stat=stat or value.get("stat", "psi"),
        limit=limit,
        floor=float(value.get("floor", DriftRule().floor)),
        severity=severity,
        ignore=tuple(value.get("ignore", ())),
        paging=paging,
    )


def _outcomes(value: Mapping[str, Any]) -> Outcomes:
    bias = value.get("bias", AUTO)
    bias = bias.get("max", AUTO) if isinstance(bias, Mapping) else bias
    given = {name: value[name] for name in ("value", "observed", "min_joined", "estimate") if name in value}
    return Outcomes(
        uses=uses_of(value),
        join=value["join"],
        every=Every(value["every"]) if "every" in value else None,
        delay=seconds(value.get("delay", 0)),
        metrics=tuple(_outcome_limit(metric, value[metric]) for metric in outcome_metrics(value)),
        bias=None if _off(bias) else AUTO if bias is True else bias,
        slices=tuple(value.get("slices", ())),
        **given,
    )


def _outcome_limit(metric: str, limits: str | Mapping[str, Any]) -> OutcomeLimit:
    return OutcomeLimit(metric, **({} if isinstance(limits, str) else limits))


def _alerting(value: Mapping[str, Any]) -> Alerting:
    channels = value.get("channels", ())
    return Alerting(
        channels=(channels,) if isinstance(channels, str) else tuple(channels),
        repeat=seconds(value["repeat"]) if "repeat" in value else DAY,
        resolve_after=int(value.get("resolve_after", 2)),
        runbook=value.get("runbook"),
    )


def _on_alert(value: Mapping[str, Any] | list[str]) -> OnAlert:
    given: Mapping[str, Any] = {"do": value} if isinstance(value, list) else value
    usual = OnAlert()
    return OnAlert(
        do=tuple(given.get("do", usual.do)),
        cooldown=seconds(given["cooldown"]) if "cooldown" in given else usual.cooldown,
        max_per_incident=int(given.get("max_per_incident", usual.max_per_incident)),
        max_age=seconds(given["max_age"]) if "max_age" in given else usual.max_age,
    )


def monitor_contradictions(document: Document) -> Iterator[Problem]:
    """Yield what the schema cannot say: keys that exclude each other, limits that nothing reaches or keeps."""
    value = document.value
    yield from _durations(document)
    drift = value.get("drift", {})
    for part in ("features", "prediction"):
        if isinstance(drift.get(part), Mapping):
            yield from _rule_contradictions(document, f"drift.{part}", drift[part])
    if "confirm" in drift:
        above, windows = _confirm(drift["confirm"])
        if above > windows:
            message = f"`drift.confirm` is {say(drift['confirm'])}: so many of so few windows never are"
            yield Problem("E106", message, document.place("drift.confirm"), help=("write, for example:  2 of 3",))
    for part, names in (("live", LIVE_COLUMNS), ("outcomes", OUTCOME_COLUMNS)):
        yield from _columns_twice(document, part, names)
    outcomes = value.get("outcomes", {})
    for metric in outcome_metrics(outcomes):
        if isinstance(outcomes[metric], Mapping):
            yield from bounds(document, f"outcomes.{metric}", outcomes[metric])
            yield from reach(document, f"outcomes.{metric}", metric, outcomes[metric], "window")


def _durations(document: Document) -> Iterator[Problem]:
    for dotted in _DURATIONS:
        part, _, key = dotted.partition(".")
        inner = document.value.get(part, {})
        text = inner.get(key) if isinstance(inner, Mapping) else None
        if isinstance(text, str) and text not in OFF and seconds(text) > _LONGEST:
            message = f"`{dotted}` is {say(text)}: more than ten years"
            yield Problem("E106", message, document.place(dotted), label="expected at most 3660d")


def _rule_contradictions(document: Document, dotted: str, rule: Mapping[str, Any]) -> Iterator[Problem]:
    named = [name for name in (*STATS, "stat", "limit") if name in rule]
    stat = next((name for name in STATS if name in rule), None)
    for other in named[1:] if stat else ():
        why = "one statistic is compared" if other != "limit" else f"`{stat}` is its limit already"
        message = f"`{dotted}` has {say(stat)} and {say(other)}: {why}"
        yield Problem("E106", message, document.places.get(f"{dotted}.{other}#key"), help=(f"remove `{other}`",))
    at = f"{dotted}.{stat or 'limit'}"
    limit = rule.get(stat or "limit")
    limits: dict[str, Any] = dict(limit) if isinstance(limit, Mapping) else {"": limit}
    if isinstance(limit, Mapping) and not limit:
        yield Problem("E106", f"`{at}` has no limit", document.place(at), help=("warn: 0.1",))
    if isinstance(limit, Mapping) and "severity" in rule:
        message = f"`{dotted}` has {say('severity')}, and `{at}` says which limit warns and which alerts"
        yield Problem("E106", message, document.places.get(f"{dotted}.severity#key"), help=("remove `severity`",))
    name = stat or rule.get("stat")
    # of chi2 a limit is a probability: the less, the stricter
    looser, stricter = ("alert", "warn") if name == "chi2" else ("warn", "alert")
    if "warn" in limits and "alert" in limits and limits[looser] >= limits[stricter]:
        message = f"`{at}` warns from {say(limits['warn'])} and alerts from {say(limits['alert'])}: it never only warns"
        yield Problem("E106", message, document.place(f"{at}.warn"), help=("swap them, or give one limit",))
    for key, number in limits.items():
        if name in _AT_MOST_1 and isinstance(number, (int, float)) and number >= 1:
            place = document.place(f"{at}.{key}" if key else at)
            yield Problem("E106", f"{name} is at most 1, and its limit {say(number)}: it never fires", place)


def _columns_twice(document: Document, part: str, names: tuple[str, ...]) -> Iterator[Problem]:
    value = document.value.get(part, {})
    seen: dict[str, str] = {}
    for name in names:
        column = value.get(name)
        if column in seen:
            message = f"`{part}.{name}` is {say(column)}, and so is `{part}.{seen[column]}`"
            yield Problem("E106", message, document.place(f"{part}.{name}"), help=("name another column",))
        elif column is not None:
            seen[column] = name
