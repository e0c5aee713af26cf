"""What is wrong with schedules and with the time zone that they are meant in."""

from __future__ import annotations

from collections.abc import Iterator

from custody.core.cron import parse_cron
from custody.domain.problem import Place, Problem, Severity
from custody.domain.spec import LATEST, Config, DatasetSpec, ModelSpec
from custody.spec.hints import meant
from custody.spec.words import say

_EXAMPLE = 'schedule: "0 2 * * 1"   minute hour day month weekday: Mondays at 2:00'


def schedule_problems(model: ModelSpec, dataset: DatasetSpec | None) -> Iterator[Problem]:
    """Yield what is wrong with the schedule of a model, and a warning where it cannot bring anything."""
    if model.schedule is None:
        return
    place = model.place("pipeline", "schedule")
    try:
        parse_cron(model.schedule)
    except ValueError as error:
        yield Problem("E220", f"`schedule` is {say(model.schedule)}: {error}", place, help=(_EXAMPLE,))
        return
    if model.dataset.version != LATEST:
        yield _idle(f"{model.name} learns from {model.dataset}, which stays", place, f"{model.dataset.name}@{LATEST}")
    elif dataset is not None and dataset.source is None:
        yield _idle(f"{dataset.name} has no source", place, f"source: in {dataset.document.path}")


def zone_problems(config: Config) -> Iterator[Problem]:
    """Yield an unknown time zone, as far as this machine knows any."""
    if config.timezone == "UTC" or config.document is None:
        return
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(config.timezone)
    except (KeyError, ValueError, OSError):
        known = available_timezones()
        if known:
            message = f"there is no time zone {say(config.timezone)}"
            yield Problem("E221", message, config.document.place("timezone"), help=meant(config.timezone, known))


def _idle(why: str, place: Place, advice: str) -> Problem:
    message = f"`schedule` brings nothing: {why}"
    return Problem("W209", message, place, help=(advice,), severity=Severity.WARNING)
