"""Adopt: results that a trial made of the same inputs, taken over by a run without doing the work again.

Only what was made on a clean commit counts (`custody try --commit`), and only after its bytes were hashed again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from custody.app.project import Project
from custody.core.adoption import with_trials
from custody.core.keys import step_key
from custody.core.subject import Lookup
from custody.digest import canonical_json
from custody.domain.graph import StepOutput, StepRecord, StepStatus
from custody.domain.plan import Change
from custody.domain.ports import Ledger
from custody.domain.record import Entry, Run
from custody.errors import CustodyError

COMMITTED = "commit"
UNCOMMITTED = "working tree"


@dataclass(slots=True)
class Trials:
    """What trials have by key; with `committed` only trials of clean commits.

    `served` maps the keys that were answered to the trial that the answer came from.
    """

    project: Project
    committed: bool
    served: dict[str, str] = field(default_factory=dict)
    _found: dict[str, tuple[str, StepRecord] | None] = field(default_factory=dict)

    def find(self, key: str) -> tuple[str, StepRecord] | None:
        """Return (trial, step) of the newest usable step with this key whose bytes are here and whole."""
        if key not in self._found:
            self._found[key] = self._look(key)
        found = self._found[key]
        if found:
            self.served[key] = found[0]
        return found

    def _look(self, key: str) -> tuple[str, StepRecord] | None:
        for ledger in self._ledgers:
            for entry, run, step in ledger.steps(key):
                if self._counts(entry):
                    self.project.store.bring_run(run)
                    if _sound(self.project, key, step):
                        return run.id, step
        return None

    @property
    def _ledgers(self) -> tuple[Ledger, ...]:
        return (self.project.trials,) if self.committed else self.project.all_trials

    def over(self, lookup: Lookup) -> Lookup:
        """Return `lookup` with the trials behind it: what the ledger itself has wins."""
        return replace(lookup, step=lambda key: lookup.step(key) or self.find(key))

    def adopt(self, changes: tuple[Change, ...], lookup: Lookup) -> tuple[Change, ...]:
        """Return the changes with the steps that trials have done."""
        if all(ledger.head() is None for ledger in self._ledgers):
            return changes
        return tuple(with_trials(change, self.over(lookup).step, lookup.has) for change in changes)

    def adopted(self, run: Run) -> tuple[str, ...]:
        """Return the trials whose results are in `run`, the one of its last step first."""
        steps = [run.steps[name] for name in run.steps]
        used = (self.served.get(step.key) for step in reversed(steps) if step.status is StepStatus.REUSED)
        return tuple(dict.fromkeys(trial for trial in used if trial))

    def _counts(self, entry: Entry) -> bool:
        if not self.committed:
            return True
        return entry.trailer("Trial") == COMMITTED and _of_commit(self.project, entry)


def _of_commit(project: Project, entry: Entry) -> bool:
    """Whether the source tree of a trial is the one of its commit; taken as said where the commit is not here."""
    commit, tree = entry.trailer("Code"), entry.trailer("Source")
    if not commit or not tree:
        return False
    found = project.worktree.tree_of(commit)
    return found in {None, tree}


def _sound(project: Project, key: str, step: StepRecord) -> bool:
    """Whether the key is what its inputs give, and all bytes are here and hash to their names."""
    if step.output is None or step_key(step.step, step.inputs, step.upstream) != key:
        return False
    try:
        for ref in _refs(step.output):
            data = project.store.get(ref)
            if step.step == "evaluate" and ref == step.output.ref.object and not says(data, step.output.facts):
                return False
    except CustodyError:
        return False
    return True


def _refs(output: StepOutput) -> Iterator[str]:
    yield output.ref.object
    yield from (ref.object for ref in output.extra.values())


def says(data: bytes, facts: Mapping[str, Any]) -> bool:
    """Whether the stored evaluation holds what the record claims; gates are judged by that."""
    try:
        stored = json.loads(data)
        return all(canonical_json(stored[name]) == canonical_json(value) for name, value in facts.items())
    except (ValueError, TypeError, LookupError):
        return False
