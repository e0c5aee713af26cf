"""Show: everything that is recorded of one run and its stored log, or where each value of a model's spec comes from."""

from __future__ import annotations

from dataclasses import dataclass

from custody.app.branch import require_ledger
from custody.app.project import Project
from custody.app.records import Recorded, find_run
from custody.core.versions import with_recorded
from custody.domain.problem import Problem, Severity
from custody.domain.spec import spec_files
from custody.errors import InvalidSpecError, UsageError
from custody.spec.explain import Origin, explain
from custody.spec.hints import meant


@dataclass(frozen=True, slots=True)
class Explained:
    """The merged spec of one model, value by value."""

    model: str
    profile: str | None
    values: tuple[Origin, ...]


def show(project: Project, target: str) -> Recorded:
    """Return the run that `target` names with all its records; see `find_run`.

    Raises LedgerError where a shared ledger was not fetched.
    """
    require_ledger(project)
    return find_run(project.ledger, target)


def explain_model(project: Project, name: str) -> Explained:
    """Return where each value of a model of the working tree comes from; no run is looked at.

    Raises UsageError where there is no such model, InvalidSpecError where its specs have errors.
    """
    spec, problems = project.load()
    model = spec.models.get(name)
    if model is None:
        directory = f"{spec.config.models}/{name}"
        errors = _errors_of(problems, directory) or (
            _errors_of(problems) if (project.root / directory).is_dir() else ()
        )
        if errors:
            raise InvalidSpecError(errors, len(errors))
        raise UsageError(f"there is no model {name!r} in the specs", code="E601", help=meant(name, spec.models))
    spec = with_recorded(spec, project.ledger.state().datasets)
    values = explain(model, spec.datasets.get(model.dataset.name), spec.resolve(model.dataset))
    return Explained(name, model.profile, values)


def _errors_of(problems: tuple[Problem, ...], directory: str = "") -> tuple[Problem, ...]:
    files = spec_files(directory)
    errors = tuple(problem for problem in problems if problem.severity is Severity.ERROR)
    return tuple(item for item in errors if not directory or (item.place and item.place.path in files))


def read_step_log(project: Project, recorded: Recorded, step: str | None = None) -> str:
    """Return the stored log of a step: of the failed one, else of the last that left one.

    Raises UsageError where there is none, StoreError where this clone's store does not hold it.
    """
    run = recorded.run
    logs = {name: item.log for name, item in run.steps.items() if item.log}
    if run.failure and run.failure.log:
        logs.pop(run.failure.step, None)
        logs[run.failure.step] = run.failure.log
    wanted = step or next(reversed(logs), None)
    digest = logs.get(wanted or "")
    if digest is None:
        known = ", ".join(logs) or "none"
        raise UsageError(f"no log of step {wanted or '?'} is recorded for run {run.id[:8]}; there are: {known}")
    return project.store.get(digest).decode("utf-8", "replace")
