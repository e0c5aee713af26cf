"""Waves: a model that reads another one is planned anew, and done, once that one is done and its stages have moved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from custody.app.apply_result import AppliedModel
from custody.app.conclude import Recorder
from custody.app.conclusion import Conclusion
from custody.app.plan import Prepared, prepare
from custody.app.project import Project
from custody.core.choice import Choice
from custody.domain.plan import Category, Change
from custody.domain.record import RunStatus

Done = list[tuple[Change, Conclusion]]
_WHY = {
    RunStatus.REJECTED: "did not pass its gates",
    RunStatus.FAILED: "failed",
    RunStatus.BLOCKED: "was refused",
    RunStatus.INTERRUPTED: "was interrupted",
}


def in_waves(
    project: Project,
    prepared: Prepared,
    recorder: Recorder,
    do: Callable[[Prepared], Done],
    share: Callable[[], object],
) -> tuple[Done, list[AppliedModel]]:
    """Do the changes of a plan wave by wave; return what was done, and the models of which nothing had to be or could.

    `do` does what it is given; `share` lands the decisions of a wave, so that the next one is planned on them.
    """
    left = {change.model: change for change in prepared.plan.changes if change.waits}
    done = do(_only(prepared, [change for change in prepared.plan.changes if not change.waits]))
    idle: list[AppliedModel] = []
    while left:
        share()
        ready = [change for change in left.values() if not left.keys() & set(change.waits)]
        concluded = {change.model: conclusion for change, conclusion in done}
        for change in ready:
            del left[change.model]
            if why := _why_not(change, concluded, idle, recorder):
                idle.append(AppliedModel(change.model, change.category, note=f"skipped: {why}", skipped=True))
        going = {change.model for change in ready} - {item.model for item in idle}
        if going:
            again = _again(project, prepared, going)
            recorder.go_on(again)
            done += do(again)
            idle += [_untouched(change) for change in again.plan.changes if not _acts(change)]
    return done, idle


def _again(project: Project, prepared: Prepared, models: Iterable[str]) -> Prepared:
    """Plan some models anew; the plan keeps the id of the one that was asked for."""
    again = prepare(project, prepared.revision, Choice(tuple(sorted(models)), waves=False))
    chosen = _only(again, [change for change in again.plan.changes if change.model in models])
    return replace(chosen, plan=replace(chosen.plan, id=prepared.plan.id))


def _only(prepared: Prepared, changes: Sequence[Change]) -> Prepared:
    return replace(prepared, plan=replace(prepared.plan, changes=tuple(changes)))


def _why_not(change: Change, concluded: dict[str, Conclusion], idle: Sequence[AppliedModel], recorder: Recorder) -> str:
    """Return why a model is not done though it was planned; empty where all that it reads is there."""
    skipped = {item.model for item in idle if item.skipped}
    for name in change.waits:
        run = concluded[name].run if name in concluded else None
        if name in skipped:
            return f"{name} was skipped"
        if run is not None and run.status is not RunStatus.PASSED:
            return f"{name} {_WHY.get(run.status, str(run.status))}"
    if recorder.decisions.waiting:
        return f"what moves {', '.join(change.waits)} has not landed yet"
    return ""


def _acts(change: Change) -> bool:
    return change.active or change.category is Category.BLOCKED


def _untouched(change: Change) -> AppliedModel:
    word = "what it reads came out the same" if change.category is Category.NOOP else change.category.word
    return AppliedModel(change.model, Category.MAYBE, note=f"nothing to do: {word}")
