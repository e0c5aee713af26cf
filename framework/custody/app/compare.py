"""Compare: the run in production beside the one that a change would bring, from what is stored of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from custody.app.project import Project
from custody.core.comparison import Comparison, Measured, compare, values_only
from custody.core.keys import UPSTREAM, step_key
from custody.core.measures import Answers
from custody.domain.graph import Ref, StepOutput
from custody.domain.plan import Change
from custody.domain.ports import Ledger
from custody.domain.record import Run
from custody.errors import CustodyError


@dataclass(frozen=True, slots=True)
class Candidate:
    """The run that shows what a change will bring. `trial` is whether it was recorded as a trial."""

    run: Run
    trial: bool


def find_trial(project: Project, model: str, key: str) -> Run | None:
    """Return the newest complete trial of `model` whose evaluation has this key; None where there is none."""
    found = (run for ledger in trials(project) for run in ledger.runs_with_key(model, key))
    return next((run for run in found if run.complete), None)


def trials(project: Project) -> list[Ledger]:
    """Return the ledgers of trials that hold any, the shared one first: a reviewer reads from it too."""
    return [ledger for ledger in reversed(project.all_trials) if ledger.head()]


def find_candidate(project: Project, change: Change) -> Candidate | None:
    """Return a complete run with the keys that `change` leads to: a recorded one first, else a trial."""
    key = evaluation_key(change, [project.ledger, *trials(project)])
    if key is None:
        return None
    recorded = (run for run in project.ledger.runs_with_key(change.model, key) if run.complete)
    if (run := next(recorded, None)) is not None:
        return Candidate(run, trial=False)
    tried = find_trial(project, change.model, key)
    return Candidate(tried, trial=True) if tried else None


def evaluation_key(change: Change, ledgers: list[Ledger]) -> str | None:
    """Return the key of the evaluation that `change` leads to; None where an output before it is not known anywhere."""
    outputs: dict[str, str] = {}
    key = None
    for step in change.steps:
        roles = UPSTREAM[step.step]
        if any(maker not in outputs for maker in roles.values()):
            return None
        key = step_key(step.step, step.inputs, {role: outputs[maker] for role, maker in roles.items()})
        known = step.known or next((found[1] for ledger in ledgers if (found := ledger.step(key))), None)
        if known and known.output:
            outputs[step.step] = known.output.ref.digest
    return key if "evaluate" in outputs else None


def compare_runs(project: Project, before: Run | None, after: Run, slices: Mapping[str, str]) -> Comparison:
    """Compare the evaluations of two runs; where their predictions cannot be read the values alone, with the reason.

    `slices` maps a column to the metric that is shown for its slices.
    """
    new = evaluation(after)
    if before is None:
        return values_only(None, Measured(new.facts), slices, "nothing in production to compare with")
    old = evaluation(before)
    recorded = Measured(old.facts), Measured(new.facts)
    try:
        answers = _answers(project, before, old), _answers(project, after, new)
        groups = _groups(project, before, answers[0], list(slices))
    except (CustodyError, ValueError, KeyError, TypeError, IndexError) as error:
        why = error.message if isinstance(error, CustodyError) else "they cannot be read"
        return values_only(*recorded, slices, f"the stored predictions are not here: {why}")
    answers = _named(before, after, answers)
    one, two = _named(before, after, answers)
    return compare(recorded, (one.answers, two.answers), slices, groups)


def evaluation(run: Run) -> StepOutput:
    """Return what was stored of a run's evaluation; an empty one where it was not reached."""
    step = run.steps.get("evaluate")
    return step.output if step and step.output else StepOutput(Ref("", "", ""))


def read_answers(project: Project, run: Run) -> Answers:
    """Return the stored predictions of a run, rows by their place in its dataset.

    Raises CustodyError where they are not here, ValueError, KeyError, TypeError or IndexError where they are damaged.
    """
    return _answers(project, run, evaluation(run)).answers


@dataclass(frozen=True, slots=True)
class _Read:
    """Predictions as stored: `rows` are places in the dataset, `keys` its key where it has one."""

    answers: Answers
    rows: Any
    keys: Any


def _answers(project: Project, run: Run, found: StepOutput) -> _Read:
    import json

    import numpy as np

    from custody.content.tables import read_table

    ref = found.extra.get("predictions")
    if ref is None:
        raise CustodyError(f"run {run.id[:8]} has none")
    table = read_table(project.store.get(ref.object))
    stored = json.loads(project.store.get(found.ref.object))
    columns = {name: table.column(name).to_pylist() for name in ("truth", "prediction")}
    rows = np.asarray(table.column("row").to_pylist(), dtype=np.int64)
    keys = np.asarray([str(key) for key in table.column("key").to_pylist()]) if "key" in table.column_names else None
    if stored.get("task") == "regression":
        truth, said = (np.asarray(columns[name], dtype=np.float64) for name in ("truth", "prediction"))
        return _Read(Answers(rows, truth, said), rows, keys)
    classes = [_text(label) for label in stored["classes"]]
    truth, said = (
        np.asarray([classes.index(_text(item)) for item in columns[name]]) for name in ("truth", "prediction")
    )
    named = [f"probability.{label}" for label in classes]
    chance = None
    if set(named) <= set(table.column_names):
        chance = np.column_stack([np.asarray(table.column(name).to_pylist(), dtype=np.float64) for name in named])
    positive = classes.index(_text(stored["positive"])) if stored.get("positive") is not None else None
    return _Read(Answers(rows, truth, said, chance, tuple(classes), positive), rows, keys)


def _named(before: Run, after: Run, answers: tuple[_Read, _Read]) -> tuple[_Read, _Read]:
    """Name the rows: by their place where both runs read the same table, else by key, else apart."""
    one, two = answers
    if _table(before) == _table(after):
        return answers
    if one.keys is not None and two.keys is not None:
        return _by_key(one), _by_key(two)
    return one, replace(two, answers=two.answers.take(two.rows[:0]))


def _by_key(read: _Read) -> _Read:
    return replace(read, answers=replace(read.answers, ids=read.keys))


def _groups(project: Project, run: Run, read: _Read, columns: list[str]) -> Mapping[str, Any]:
    """Return the text of each slice column in the rows of `read`; nothing where the dataset's table is not here."""
    import numpy as np

    from custody.content.tables import read_table
    from custody.kit.frame import text_of

    step = run.steps.get("fetch")
    if not columns or step is None or step.output is None or not project.store.has(step.output.ref.object):
        return {}
    table = read_table(project.store.get(step.output.ref.object))
    there = [column for column in columns if column in table.column_names]
    return {
        column: np.asarray([text_of(item) for item in table.column(column).take(read.rows).to_pylist()])
        for column in there
    }


def _table(run: Run) -> str | None:
    step = run.steps.get("fetch")
    return step.output.ref.digest if step and step.output else None


def _text(value: Any) -> str:
    from custody.kit.frame import text_of

    return text_of(value)
