"""Say on a record what its plan was read from, so that a fresh clone (`app/vouched.py`) need not read it again.

Only what a plan would find unchanged right after the record gets a basis: that is tried, by the planner itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from custody.app.code import Code, digests
from custody.app.plan import Prepared
from custody.app.project import Project
from custody.app.reading import base_of, sources
from custody.core.basis import Basis, elsewhere
from custody.core.jsonfile import json_object
from custody.core.planner import changes
from custody.core.stages import AUTO, NONE
from custody.domain.plan import Category, Change
from custody.domain.problem import Problem
from custody.domain.record import ModelState, Run, RunStatus, StagePointer, State
from custody.domain.spec import ModelSpec
from custody.git.identities import identities
from custody.git.objects import FILE, FOLDER
from custody.spec.monitor_references import compared_with


def with_basis(project: Project, prepared: Prepared, run: Run, head: str | None) -> Run:
    """Return the run with its basis, or without any where it would not be exact.

    `head` is the commit of the ledger that it will stand on: the versions of its dataset are recorded there.
    """
    found = _basis(project, prepared, run, head)
    return replace(run, basis=found.to_dict() if found else {})


def _basis(project: Project, prepared: Prepared, run: Run, head: str | None) -> Basis | None:
    model, revision = prepared.spec.models[run.model], prepared.revision
    if run.status is not RunStatus.PASSED or head is None or not revision or not project.worktree.is_commit(revision):
        return None
    if set(model.stages.values()) - {AUTO, NONE} or model.was or _said(prepared, model):
        return None
    ids = identities(project.worktree, revision)
    base = base_of(project.config, ids, sources()) if ids else None
    ledger = _recorded(project, prepared, model, head)
    if ids is None or base is None or ledger is None or not _unchanged(project, prepared, run):
        return None
    config, name = project.config, model.dataset.name
    own, dataset = (ids.folder(path) for path in (f"{config.models}/{model.name}", f"{config.datasets}/{name}"))
    if not own or not dataset:
        return None
    files = elsewhere(run.closure, model.directory)
    return Basis(run.id, base, own, (name, dataset, ledger), model.stages, files)


def _said(prepared: Prepared, model: ModelSpec) -> bool:
    """Whether there are warnings that a plan would have to repeat unread: of the model, of its data, or of no one."""
    code = prepared.code.get(model.name, {})
    folders = (f"{model.directory}/", f"{prepared.spec.config.datasets}/{model.dataset.name}/")
    roots = tuple(f"{root}/" for root in (prepared.spec.config.models, prepared.spec.config.datasets))

    def concerns(problem: Problem) -> bool:
        path = problem.place.path if problem.place else ""
        return path.startswith(folders) or not path.startswith(roots)

    return any(item.warnings for item in code.values()) or any(map(concerns, prepared.spec.warnings))


def _recorded(project: Project, prepared: Prepared, model: ModelSpec, head: str) -> str | None:
    """Return the tree of the dataset's records; None where they are not just those that the plan knew."""
    repository, name = project.worktree.repository, model.dataset.name
    folder = repository.entry(repository.commit(head).tree, f"datasets/{name}")
    manifest = prepared.spec.resolve(model.dataset)
    if folder is None or folder.mode != FOLDER or manifest is None:
        return None
    files = {entry.name: entry.id for entry in repository.tree(folder.id) if entry.mode == FILE}
    known = {f"{label}.json" for label in prepared.spec.datasets[name].versions}
    if files.keys() != known:
        return None
    value = json_object(repository.blob(files[f"{manifest.version}.json"]))
    return folder.id if value.get("logical") == manifest.logical else None


def _unchanged(project: Project, prepared: Prepared, run: Run) -> bool:
    """Whether the planner finds nothing to do once the run is recorded and stages point where they are declared."""
    model, worktree = prepared.spec.models[run.model], project.worktree
    pointers = {stage: StagePointer(run.id, "", "", "") for stage, declared in model.stages.items() if declared == AUTO}
    after = State(None, {run.model: ModelState(run.model, run, pointers)}, prepared.state.datasets)
    code = {name: item for name, item in prepared.code.items() if name == run.model}
    own = digests(code, after, prepared.read, worktree.blob_bytes, project.config.models)
    spec = replace(prepared.spec, models={run.model: model})
    planned = changes(spec, after, own, prepared.lookup, prepared.lock)
    return all(by_itself(model, change, run, prepared.code) and not change.annotations for change in planned)


def by_itself(model: ModelSpec, change: Change, run: Run, code: Mapping[str, Code]) -> bool:
    """Whether nothing is to be done, for reasons that lie in the model's own run and its own, first-party code.

    1. What the steps made is in that run: no record of another model can change it.
    2. Its code is first-party: what is installed has no id.
    3. It reads no other model, and no other dataset is watched against.
    """
    if change.category is not Category.NOOP or change.run != run.id:
        return False
    if change.reasons or change.moves or change.notes or model.inputs:
        return False
    if any(ref.name != model.dataset.name for _, ref in compared_with(model)):
        return False
    own = all(step.step in run.steps and run.steps[step.step].key == step.key for step in change.steps)
    uses = (("prepare", model.prepare), ("train", model.train))
    return own and all(step in code.get(model.name, {}) for step, use in uses if ":" in use.name)
