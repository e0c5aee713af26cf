"""Find: which models match, by what their specs declare and by what the ledger has of the runs that serve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from custody.app.branch import require_ledger
from custody.app.project import Project
from custody.core.keys import features_of
from custody.core.versions import with_recorded
from custody.domain.problem import Severity
from custody.domain.record import ModelState, Run, RunStatus, State
from custody.domain.spec import ModelSpec, Spec
from custody.errors import UsageError

DECLARED = "declared"
_WORDS = (*map(str, RunStatus), "declared", "held", "new", "retired", "renamed", "undeclared")
"""States that are no stage."""


@dataclass(frozen=True, slots=True)
class Query:
    """What to find; None asks for nothing. `dataset` is a name, or `name@version`; `state` a stage or a state."""

    owner: str | None = None
    dataset: str | None = None
    column: str | None = None
    purpose: str | None = None
    state: str | None = None

    @property
    def of_uses(self) -> bool:
        """Whether it asks for more than the state."""
        return any(item is not None for item in (self.owner, self.dataset, self.column, self.purpose))


@dataclass(frozen=True, slots=True)
class Use:
    """What one form of a model uses: as `declared`, or as a run did that serves in a stage or is the last.

    `columns` maps a column to what it is there: feature, target, slice, split.
    """

    form: str
    run: str | None
    owner: str
    purpose: str
    dataset: str
    version: str
    columns: Mapping[str, tuple[str, ...]]

    def matches(self, query: Query) -> bool:
        """Whether this form has all that is asked for beside the state."""
        name, _, version = (query.dataset or "").partition("@")
        return (
            (query.owner is None or self.owner == query.owner)
            and (query.purpose is None or self.purpose == query.purpose)
            and (not name or self.dataset == name)
            and (not version or self.version == version)
            and (query.column is None or query.column in self.columns)
        )


@dataclass(frozen=True, slots=True)
class Found:
    """A model that matches: its states, and its forms that do. One that only the state is asked of may have none."""

    model: str
    states: tuple[str, ...]
    uses: tuple[Use, ...]


@dataclass(frozen=True, slots=True)
class Findings:
    """The models that match in order of name, and of how many; `near` is what may have been meant where none does."""

    query: Query
    models: tuple[Found, ...]
    total: int
    near: tuple[str, ...] = ()
    problem: str = ""
    """Why the specs could not be read; then only records were searched."""


def find(project: Project, query: Query) -> Findings:
    """Return the models that match all of `query`.

    Raises UsageError for a state that there is not, LedgerError where a shared ledger was not fetched.
    """
    require_ledger(project)
    state = project.ledger.state()
    spec, problems = project.load(None)
    broken = next((problem.message for problem in problems if problem.severity is Severity.ERROR), "")
    spec = with_recorded(spec, state.datasets)
    names = sorted({*spec.models, *state.models})
    known = {name: _states(spec.models.get(name), state.models.get(name)) for name in names}
    _require_state(query, {item for states in known.values() for item in states})
    uses = {name: tuple(_uses(project, spec, state, name)) for name in names}
    found = []
    for name in names:
        matching = tuple(use for use in uses[name] if use.matches(query))
        states = known[name]
        wanted = query.state in states if query.state else "renamed" not in states
        if wanted and (matching or not query.of_uses):
            found.append(Found(name, states, matching))
    near = () if found else tuple(_near(query, [use for items in uses.values() for use in items]))
    return Findings(query, tuple(found), len(names), near, broken)


def _states(model: ModelSpec | None, state: ModelState | None) -> tuple[str, ...]:
    """Return all that is true of a model: the stages in which it serves, then what else there is to know."""
    recorded = state or ModelState("")
    words = list(recorded.stages)
    words += ["held"] if recorded.holds else []
    words += [str(recorded.run.status)] if recorded.run else []
    words += ["renamed"] if recorded.renamed else ["retired"] if recorded.retired else []
    words += ["new"] if model and not recorded.records else []
    return (*words, "declared" if model else "undeclared")


def _require_state(query: Query, present: set[str]) -> None:
    known = {*_WORDS, *present, "production"}
    if query.state is None or query.state in known:
        return
    near = get_close_matches(query.state, known, 1)
    hint = (f"did you mean {near[0]}?",) if near else ()
    message = f"no model can be {query.state!r}: it is no stage and no state"
    raise UsageError(message, code="E649", help=(*hint, f"there are: {', '.join(sorted(known))}"))


def _uses(project: Project, spec: Spec, state: State, name: str) -> Iterator[Use]:
    if (model := spec.models.get(name)) and (use := _declared(spec, model)):
        yield use
    recorded = state.models.get(name)
    if recorded is None:
        return
    forms: dict[str, list[str]] = {}
    for stage, pointer in recorded.stages.items():
        forms.setdefault(pointer.run, []).append(f"{stage} {pointer.version}")
    if recorded.run:
        forms.setdefault(recorded.run.id, []).append("last run")
    for run_id, words in forms.items():
        run = recorded.run if recorded.run and recorded.run.id == run_id else _run(project, run_id)
        if run:
            yield _recorded(run, ", ".join(words))


def _run(project: Project, run_id: str) -> Run | None:
    entry = project.ledger.find_entry(run_id)
    return project.ledger.run(entry) if entry else None


def _declared(spec: Spec, model: ModelSpec) -> Use | None:
    manifest = spec.resolve(model.dataset)
    dataset = spec.datasets.get(model.dataset.name)
    version = manifest.version if manifest else model.dataset.version
    features = features_of(model, dataset, manifest) if dataset and manifest else model.features or ()
    slices = [gate.column for gate in model.slices]
    columns = _columns(features, model.target, slices, model.split.column)
    return Use(DECLARED, None, model.owner, model.purpose, model.dataset.name, version, columns)


def _recorded(run: Run, form: str) -> Use:
    train, split = run.steps.get("train"), run.steps.get("split")
    inputs = train.inputs if train else {}
    features = inputs.get("features")
    target, cut = inputs.get("target"), split.inputs.get("column") if split else None
    columns = _columns(features if isinstance(features, list) else (), target, list(run.limits.get("slices", {})), cut)
    owner, purpose = str(run.metadata.get("owner")), str(run.metadata.get("purpose"))
    return Use(form, run.id, owner, purpose, str(run.data.get("dataset")), str(run.data.get("version")), columns)


def _columns(features: object, target: object, slices: list[str], cut: object) -> dict[str, tuple[str, ...]]:
    roles: dict[str, list[str]] = {}
    for column in features if isinstance(features, (list, tuple)) else ():
        roles.setdefault(str(column), []).append("feature")
    for column, role in [(target, "target"), *((name, "slice") for name in slices), (cut, "split")]:
        if isinstance(column, str):
            roles.setdefault(column, []).append(role)
    return {column: tuple(names) for column, names in roles.items()}


def _near(query: Query, uses: list[Use]) -> Iterator[str]:
    """Yield, for each thing that no model has at all, what is like it."""
    dataset, _, version = (query.dataset or "").partition("@")
    columns = {column for use in uses for column in use.columns}
    asked = (
        ("--owner", query.owner, {use.owner for use in uses}),
        ("--purpose", query.purpose, {use.purpose for use in uses}),
        ("--dataset", dataset or None, {use.dataset for use in uses}),
        ("--dataset", query.dataset if version else None, {f"{use.dataset}@{use.version}" for use in uses}),
        ("--column", query.column, columns),
    )
    for option, value, present in asked:
        if value is not None and value not in present and (near := get_close_matches(value, sorted(present), 1)):
            yield f"{option} {near[0]}"
