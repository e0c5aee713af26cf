"""What served in each stage before, until when, and what took its place: a walk over what moved stages. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from custody.domain.record import Headline, Kind


@dataclass(frozen=True, slots=True)
class Departure:
    """A run that left a stage: `by` is the record that moved it on, `replaced_by` the run that came, None: nothing."""

    stage: str
    run: str
    since: str
    until: str
    by: Headline
    replaced_by: str | None


@dataclass(slots=True)
class _Stages:
    """What the stages of one model point to and since when, and what has left them."""

    present: dict[str, tuple[str, str]] = field(default_factory=dict)
    left: list[Departure] = field(default_factory=list)

    def move(self, stage: str, run: str | None, by: Headline) -> None:
        here = self.present.pop(stage, None)
        if here and here[0] != run:
            self.left.append(Departure(stage, here[0], here[1], by.at, by, run))
        if run:
            self.present[stage] = here if here and here[0] == run else (run, by.at)


def departures(moves: Iterable[Headline]) -> dict[str, tuple[Departure, ...]]:
    """Return what has left the stages of each model, oldest first; `moves` are in landing order.

    A move that did not take effect is left out: it names another run than the stage pointed to. A hold of a former name
    is about the model that had it.
    """
    models: dict[str, _Stages] = {}
    renamed: dict[str, str] = {}
    for item in moves:
        if item.kind == Kind.RENAME:
            models[item.model] = models.pop(item.before or "", _Stages())
            renamed[item.before or ""] = item.model
            continue
        name = item.model
        while item.kind == Kind.HOLD and name not in models and name in renamed:
            name = renamed[name]
        stages = models.setdefault(name, _Stages())
        if item.kind == Kind.RETIRE:
            for stage in list(stages.present):
                stages.move(stage, None, item)
        elif item.stage and stages.present.get(item.stage, (None, ""))[0] == item.before:
            stages.move(item.stage, item.run, item)
    return {name: tuple(stages.left) for name, stages in models.items() if stages.left}
