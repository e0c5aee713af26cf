"""What was chosen of a plan: models to take or to leave, and steps to do again though nothing asks for it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from custody.core.upstream import readers
from custody.domain.graph import STEPS
from custody.domain.plan import Change
from custody.domain.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Choice:
    """`targets` are the models to plan (none: all), `exclude` those to leave out.

    `replace` maps a model to the step that is run again whatever is recorded, for `reason`.
    """

    targets: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    replace: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    waves: bool = True
    """Whether models wait for those that they read; a trial takes what is there."""
    alert: str = ""
    """The incident that asks for the work, in words; empty where a person or a schedule does."""

    @property
    def whole(self) -> bool:
        """Whether nothing is left out."""
        return not self.targets and not self.exclude

    @property
    def named(self) -> tuple[str, ...]:
        """All models that are named, each once."""
        return tuple(dict.fromkeys((*self.targets, *self.exclude, *self.replace)))

    def takes(self, model: str) -> bool:
        """Whether `model` is planned."""
        return model not in self.exclude and (not self.targets or model in self.targets)

    def split(self, planned: Collection[Change]) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
        """Return the changes that are taken, and of the others those that have something to do."""
        taken = tuple(change for change in planned if self.takes(change.model))
        return taken, tuple(change for change in planned if change.active and not self.takes(change.model))


EVERYTHING = Choice()


def closed(choice: Choice, models: Mapping[str, ModelSpec]) -> Choice:
    """Return the choice with what goes with it: what targets read, and what reads an excluded model."""
    targets = list(choice.targets)
    for name in targets:  # grows while it is walked
        reads = models[name].inputs.values() if name in models else ()
        targets += [ref.model for ref in reads if ref.model not in targets]
    excluded = dict.fromkeys((*choice.exclude, *sorted(readers(models, choice.exclude))))
    return replace(choice, targets=tuple(targets), exclude=tuple(excluded))


def is_step(name: str) -> bool:
    """Whether a step has this name."""
    return name in STEPS
