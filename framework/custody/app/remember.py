"""Remember what a plan found, for `recognise`: models with nothing to do, datasets without errors, and their ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from custody.app.basis import by_itself
from custody.app.plan import Prepared
from custody.app.project import Project
from custody.app.recognise import Recognised, look, save
from custody.core.basis import covered
from custody.core.recognition import DatasetFinding, Files, Here, ModelFinding, Standing
from custody.domain.plan import Change
from custody.domain.problem import Problem
from custody.domain.record import State
from custody.domain.spec import ModelSpec
from custody.git.identities import Identities, identities


def remember(project: Project, prepared: Prepared, seen: Recognised, state: State) -> None:
    """Remember what was found of all that was not recognised. What changed while it was planned is left out."""
    notes = _Notes(project, prepared, seen.ids, look(seen.ids, state), state)
    if notes.lost:
        return
    datasets = dict(notes.datasets())
    models = dict(notes.models(seen, datasets))
    if seen.findings.with_(models, datasets) == seen.findings:
        return
    again = identities(project.worktree, prepared.revision)
    if again is None:
        return
    now, config = look(again, state), project.config
    models = {name: item for name, item in models.items() if now.holds_model(item, name, f"{config.models}/{name}")}
    datasets = {
        name: item for name, item in datasets.items() if now.holds_dataset(item, name, f"{config.datasets}/{name}")
    }
    save(project, seen.findings.with_(models, datasets))


class _Notes:
    """What one plan found, in the form in which it is remembered."""

    def __init__(self, project: Project, prepared: Prepared, ids: Identities, here: Here, state: State) -> None:
        self._config = project.config
        self._prepared = prepared
        self._ids = ids
        self._here = here
        self._state = state
        self._said: dict[str, list[Problem]] = {}
        self.lost = False
        """Whether something was said that belongs to no model and no dataset."""
        roots = (self._config.models, self._config.datasets)
        for problem in prepared.spec.warnings:
            path = problem.place.path if problem.place else ""
            root = next((root for root in roots if path.startswith(f"{root}/")), None)
            name = path.removeprefix(f"{root}/").partition("/")[0] if root else ""
            self.lost = self.lost or not name
            self._said.setdefault(f"{root}/{name}", []).append(problem)

    def datasets(self) -> Iterator[tuple[str, DatasetFinding]]:
        """Yield a finding for each dataset that was read."""
        for name in self._prepared.spec.datasets:
            folder = f"{self._config.datasets}/{name}"
            own = self._ids.folder(folder)
            ledger = self._here.datasets.get(name, "")
            pending = not ledger and any(label.startswith(f"{name}@") for label in self._state.datasets)
            if own is not None and not pending:
                yield name, DatasetFinding(own, ledger, tuple(self._said.get(folder, ())))

    def models(self, seen: Recognised, datasets: Mapping[str, DatasetFinding]) -> Iterator[tuple[str, ModelFinding]]:
        """Yield a finding for each model, or folder, for which nothing is to be done."""
        changes = {change.model: change for change in self._prepared.plan.changes}
        for name in seen.others:
            folder = f"{self._config.models}/{name}"
            own, ledger = self._ids.folder(folder), self._here.models.get(name, "")
            if own is None or (not ledger and name in self._state.models):
                continue
            model = self._prepared.spec.models.get(name)
            if model is None:
                if name not in changes:
                    yield name, ModelFinding(Standing.RETIRED if ledger else Standing.NO_SPEC, own, ledger)
            elif self._settled(model, changes.get(name)) and (data := datasets.get(model.dataset.name)):
                found = ModelFinding(
                    Standing.UNCHANGED, own, ledger, (model.dataset.name, data.own, data.ledger), self._files(model)
                )
                yield name, self._told(found, model, changes[name])

    def _told(self, found: ModelFinding, model: ModelSpec, change: Change) -> ModelFinding:
        """Return the finding with what its plan says of the model."""
        code = self._prepared.code.get(model.name, {})
        sights = tuple(problem for item in code.values() for problem in item.warnings)
        warnings = tuple(self._said.get(model.directory, ()))
        return replace(
            found,
            stages=tuple(model.stages.items()),
            run=change.run,
            annotations=change.annotations,
            warnings=warnings,
            sights=sights,
        )

    def _settled(self, model: ModelSpec, change: Change | None) -> bool:
        """Whether nothing is to be done, which hangs on the ids of a finding alone: the versions are recorded too."""
        recorded = self._state.models.get(model.name) if change else None
        run = recorded.run if recorded else None
        if change is None or run is None or not by_itself(model, change, run, self._prepared.code):
            return False
        versions = self._prepared.spec.datasets[model.dataset.name].versions
        return all(f"{model.dataset.name}@{label}" in self._state.datasets for label in versions)

    def _files(self, model: ModelSpec) -> Files:
        """Return the code that the identity of the model's folder says nothing of."""
        paths = {path for item in self._prepared.code.get(model.name, {}).values() for path in item.files}
        return tuple((path, self._ids.file(path)) for path in sorted(paths) if not covered(path, model.directory))
