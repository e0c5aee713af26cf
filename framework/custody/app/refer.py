"""The step `reference`: what windows of a model are compared with, made from the data that its run was made from.

Rows are cut into blocks as long as a window. What the model says of them is said by clones that did not learn from
those rows. Runs inside a step process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from custody.app.monitor_graph import OTHER
from custody.app.out_of_fold import Labelled, labelled, outcomes_of, said_of
from custody.app.reference_rows import Rows, rows_of, stretches
from custody.app.step import Work, one_thread
from custody.content.tables import read_table
from custody.core.calibration import Material, reference_of
from custody.domain.graph import Ref, StepOutput
from custody.domain.monitoring import Edges, Profile
from custody.domain.monitors import Monitors
from custody.domain.spec import Column
from custody.errors import ContractError
from custody.kit import scoring
from custody.kit.profiling import edges_of, profile_of
from custody.spec.monitors import monitors as monitors_of


def run(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Do the step that `payload` describes; see `custody.app.step.run`."""
    work = Work.of(payload)
    with work.code.importable(), one_thread(work):
        return refer(work).to_dict()


def refer(work: Work) -> StepOutput:
    """Make the reference of a model from its recorded data, its artifact and what its monitors declare."""
    meta, monitors = work.artifact("model").meta, monitors_of(work.inputs["monitors"])
    rows = rows_of(work, meta, monitors)
    numbers, spans = rows.blocks(monitors.every)
    inputs = rows.table.select(list(meta["features"]))
    allowed = {name: rules["values"] for name, rules in work.inputs["declared"].items() if rules.get("values")}
    edges = edges_of(inputs, meta["features"], meta["kinds"], declared=allowed)
    answers, notes = _answers(work, monitors, rows)
    material = Material(
        work.settings["watched"],
        work.settings["run"],
        work.settings["data"],
        edges,
        _profiles(inputs, numbers, edges),
        spans,
        **_predicted(answers, numbers),
        contract={name: _column(name, rules) for name, rules in work.inputs["declared"].items()},
        outcomes=outcomes_of(work, monitors, answers) if answers else {},
        others=_others(work, edges),
    )
    reference = reference_of(material, monitors).to_dict()
    return StepOutput(Ref("reference", "", ""), facts={"reference": reference, "notes": list(notes)})


def _answers(work: Work, monitors: Monitors, rows: Rows) -> tuple[Labelled | None, tuple[str, ...]]:
    """Return what clones say of the rows; None, and why, where nothing can be said or nothing is asked."""
    if monitors.outcomes is None and monitors.drift.prediction is None:
        return None, ()
    try:
        return labelled(work, monitors, rows), ()
    except ContractError as error:
        return None, (error.message,)


def _profiles(table: pa.Table, numbers: NDArray[np.int64], edges: Mapping[str, Edges]) -> tuple[Profile, ...]:
    """Return the profile of each block; rows of no block are at the ends only."""
    return tuple(profile_of(table.slice(start, length), edges) for start, length in stretches(numbers))


def _predicted(answers: Labelled | None, numbers: NDArray[np.int64]) -> dict[str, Any]:
    """Return the cells of what is watched of the predictions, and the counts of each block."""
    if answers is None:
        return {}
    table = said_of(answers)
    name = scoring.WATCHED
    edges = edges_of(table, (name,), (answers.watched,))
    blocks = numbers[answers.places]
    counts = tuple(profile_of(table.slice(start, length), edges).columns[name] for start, length in stretches(blocks))
    return {"prediction": edges[name], "predicted": counts}


def _column(name: str, rules: Mapping[str, Any]) -> Column:
    values = rules.get("values")
    known = {key: rule for key, rule in rules.items() if key in Column.__slots__ and key != "values"}
    return Column(name, **known, values=None if values is None else tuple(values))


def _others(work: Work, edges: Mapping[str, Edges]) -> dict[str, Profile]:
    found: dict[str, Profile] = {}
    for role, ref in work.upstream.items():
        if role.startswith(OTHER):
            table = read_table(work.store.get(ref.object))
            present: Sequence[str] = [name for name in edges if name in table.column_names]
            found[role.removeprefix(OTHER)] = profile_of(table.select(present), edges)
    return found
