"""Sweep: try many combinations of a model's parameters, each a trial of its own; steps in common are done once."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from threading import Event as Cancel
from typing import Any

from custody.app.adopt import Trials
from custody.app.apply import engine_for
from custody.app.branch import require_ledger
from custody.app.code import materialise
from custody.app.plan import Known, Prepared, prepare_spec
from custody.app.project import Project
from custody.app.recover import recover
from custody.app.steps import Running
from custody.app.sweep_history import recorded
from custody.app.sweep_steps import SweepSteps
from custody.app.trial import TRIED, TrialOptions, TriedModel, known_models, recorded_on, tree_to_try, tried_model
from custody.app.trial_record import TrialRecorder, Tried
from custody.app.wave import run_steps, settings_of
from custody.core.choice import Choice, closed
from custody.core.compiler import compile_graph
from custody.core.gates import LOWER_IS_BETTER, NEARER_ZERO_IS_BETTER
from custody.core.recording import primary_metric
from custody.core.space import Axis, Combination, Range, corners, grid, sample, size
from custody.domain.graph import Event, Graph, Node, Outcome, Progress
from custody.domain.plan import Change
from custody.domain.problem import Problem
from custody.domain.record import RunStatus
from custody.domain.spec import Spec
from custody.errors import InvalidSpecError, UsageError
from custody.kit.sampling import Sampler
from custody.ledger.intents import Intents
from custody.ledger.locks import apply_lock
from custody.spec.override import override, parse_settings
from custody.spec.space import parse_space

AT_RANDOM = "random"
ROUND = 4
"""Combinations that a sampler draws together, whatever the cores: what it draws must not depend on the machine."""
MOST = 500
"""Combinations of one sweep; more are a mistake more often than a wish."""


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """What to try of which model. `sample` combinations are drawn by `sampler` with `seed`; None: all of the grid."""

    model: str
    settings: tuple[str, ...]
    sample: int | None = None
    seed: int = 0
    sampler: str = AT_RANDOM
    jobs: int = 2
    engine: str = "inline"


@dataclass(frozen=True, slots=True)
class TriedCombination:
    """One combination: its settings as they are typed, and what came of it; None where it was not begun."""

    settings: tuple[str, ...]
    result: TriedModel | None


@dataclass(frozen=True, slots=True)
class Sweep:
    """One sweep: `metric` is what combinations are sorted by, best first, and `axes` are the parameters that vary.

    `varying` maps each of them to the values of the combinations, in their order.
    """

    model: str
    tried: Tried
    metric: str | None
    axes: tuple[str, ...]
    combinations: tuple[TriedCombination, ...]
    branch: str
    cancelled: bool = False
    sample: int | None = None
    seed: int = 0
    sampler: str = AT_RANDOM

    @property
    def best(self) -> TriedCombination | None:
        """The best combination that passes its gates."""
        return next((item for item in self.combinations if item.result and _passed(item.result)), None)


@dataclass(slots=True)
class _Trial:
    """One combination while it is prepared and run; `values` has one for each axis."""

    label: str
    settings: tuple[str, ...]
    values: Combination
    prepared: Prepared
    recorder: TrialRecorder
    result: TriedModel | None = None
    header: dict[str, Any] = field(default_factory=dict)
    run_id: str = ""

    @property
    def change(self) -> Change:
        return self.prepared.plan.changes[0]


def is_sweep(settings: Sequence[str], sample: int | None) -> bool:
    """Whether these settings ask for more than one combination. Raises UsageError where one cannot be read."""
    axes = parse_space(settings)
    return sample is not None or size(axes) != 1


def sweep(project: Project, options: SweepOptions, progress: Callable[[Event], None], cancel: Cancel) -> Sweep:
    """Try every combination that is not known yet, and record each one as it ends.

    Raises UsageError for a space that cannot be tried, InvalidSpecError where the specs or a value have errors; then
    nothing has been run.
    """
    axes = parse_space(options.settings)
    sampler = _sampler(axes, options)
    combinations = () if sampler else _combinations(axes, options)
    tree, _ = tree_to_try(project, TrialOptions(), ())
    require_ledger(project)
    recover(project)
    watch = (progress, cancel)
    if sampler:
        trials = _searched(project, options, axes, tree, sampler, watch)
    else:
        trials = _known(project, _trials(project, options, axes, combinations, tree))
        _run(project, trials, options, watch)
    metric = _metric(trials)
    done = tuple(TriedCombination(trial.settings, trial.result) for trial in _sorted(trials, metric))
    names = tuple(axis.name for axis in axes if isinstance(axis, Range) or len(axis.values) > 1)
    tried = Tried(tree, False, project.worktree.branch())
    where = recorded_on(project, committed=False)
    how = (options.sample, options.seed, options.sampler)
    return Sweep(options.model, tried, metric, names, done, where, cancel.is_set(), *how)


def _sampler(axes: tuple[Axis, ...], options: SweepOptions) -> Sampler | None:
    """Return what draws by what came of others; None where it is at random, or all there is."""
    if options.sampler == AT_RANDOM:
        return None
    if options.sample is None:
        message = f"--sampler {options.sampler} is for --sample; how many combinations are to be drawn?"
        raise UsageError(message, code="E434", help=(f"--sample 20 --sampler {options.sampler}",))
    _combinations(axes, options)
    return Sampler(axes, options.sampler, options.seed)


def _searched(
    project: Project,
    options: SweepOptions,
    axes: tuple[Axis, ...],
    tree: str,
    sampler: Sampler,
    watch: tuple[Callable[[Event], None], Cancel],
) -> list[_Trial]:
    """Try a few combinations after the other, each drawn by what is recorded of the same inputs and what came since."""
    # every value that may be drawn is checked before anything runs
    _specs(project, _spec(project, options, tree), options.model, axes, tuple(corners(axes)), tree)
    known = _known(project, _trials(project, options, axes, tuple(recorded(project, options.model, axes)), tree))
    _tell(sampler, known)
    trials: list[_Trial] = []
    while len(trials) < int(options.sample or 0) and not watch[1].is_set():
        drawn = sampler.draw(min(ROUND, int(options.sample or 0) - len(trials)))
        if not drawn:
            break
        tried = _known(project, _trials(project, options, axes, drawn, tree))
        _run(project, tried, options, watch)
        _tell(sampler, tried)
        trials += tried
    return trials


def _tell(sampler: Sampler, trials: Sequence[_Trial]) -> None:
    metric = _metric(trials)
    for trial in trials:
        if trial.result is not None:
            sampler.learn(trial.values, _loss(trial, metric))


def _known(project: Project, trials: Iterable[_Trial]) -> list[_Trial]:
    """Return the trials, with the results of those that are recorded."""
    found = list(trials)
    for trial in found:
        trial.result = next(known_models(project, trial.prepared, committed=False), None)
    return found


def _metric(trials: Sequence[_Trial]) -> str | None:
    """Return the metric that combinations are sorted by."""
    for trial in trials:
        run = trial.result.run if trial.result else None
        if run and (name := primary_metric(trial.prepared.spec.models[run.model], run)):
            return name
    return None


def _combinations(axes: tuple[Axis, ...], options: SweepOptions) -> tuple[Combination, ...]:
    count = size(axes)
    if options.sample is not None:
        if not 1 <= options.sample <= MOST:
            raise UsageError(f"--sample draws 1 to {MOST} combinations", code="E434", help=("--sample 20",))
        if count is None or count > options.sample:
            return sample(axes, options.sample, options.seed)
    if count is None:
        endless = next(axis for axis in axes if isinstance(axis, Range) and not axis.integer)
        message = f"{endless.name} is a range without end; how many combinations are to be drawn?"
        raise UsageError(
            message, code="E434", help=("--sample 20", f"--set {endless.name}={endless.low:g},{endless.high:g}")
        )
    if count > MOST:
        message = f"these are {count:,} combinations; at most {MOST} are tried at once"
        raise UsageError(message, code="E434", help=("--sample 50",))
    return tuple(grid(axes))


def _trials(
    project: Project, options: SweepOptions, axes: tuple[Axis, ...], combinations: Sequence[Combination], tree: str
) -> Iterator[_Trial]:
    """Yield each combination with its plan; raises InvalidSpecError with the faults of all of them."""
    spec = _spec(project, options, tree)
    shared = Trials(project, committed=False)
    specs = _specs(project, spec, options.model, axes, combinations, tree)
    labels, known = set[str](), _recorded(project, spec)
    for (texts, own), values in zip(specs, combinations, strict=True):
        prepared = prepare_spec(project, tree, own, Choice((options.model,)), shared, known)
        tried = Tried(tree, False, project.worktree.branch(), texts)
        label = _label(axes, texts, labels)
        yield _Trial(label, texts, values, prepared, TrialRecorder(project, prepared, tried))


def _spec(project: Project, options: SweepOptions, tree: str) -> Spec:
    """Return the specs of the model and of those that it reads: a sweep among a thousand models plans these alone."""
    spec = project.load_valid(tree)
    if options.model not in spec.models:
        raise UsageError(f"there is no model {options.model!r}", code="E601", help=("custody status",))
    names = closed(Choice((options.model,)), spec.models).targets
    return replace(spec, models={name: spec.models[name] for name in names})


def _recorded(project: Project, spec: Spec) -> Known:
    """Return what is recorded of the models of `spec` and of their former names, for all combinations."""
    state = project.ledger.state()
    names = {str(name) for model in spec.models.values() for name in (model.name, model.was)} & set(state.models)
    return Known(replace(state, models={name: state.models[name] for name in sorted(names)}), ())


def _specs(
    project: Project, spec: Spec, model: str, axes: tuple[Axis, ...], combinations: Sequence[Combination], tree: str
) -> list[tuple[tuple[str, ...], Spec]]:
    read, found = project.worktree.reader(tree), list[tuple[tuple[str, ...], Spec]]()
    problems: dict[str, Problem] = {}
    for values in combinations:
        texts = tuple(f"{axis.name}={value}" for axis, value in zip(axes, values, strict=True))
        try:
            found.append((texts, override(spec, (model,), parse_settings(texts), read)))
        except InvalidSpecError as error:
            problems.update({f"{problem.place} {problem.message}": problem for problem in error.problems})
    if problems:
        raise InvalidSpecError(tuple(problems.values()), len(problems))
    return found


def _label(axes: tuple[Axis, ...], texts: tuple[str, ...], used: set[str]) -> str:
    """Return a short name for a combination: what varies, without the step before it."""
    varying = [text for axis, text in zip(axes, texts, strict=True) if isinstance(axis, Range) or len(axis.values) > 1]
    label = " ".join(text.partition("=")[0].rpartition(".")[2] + "=" + text.partition("=")[2] for text in varying)
    label = label if label and label not in used else " ".join(texts)
    used.add(label)
    return label


def _run(
    project: Project, trials: list[_Trial], options: SweepOptions, watch: tuple[Callable[[Event], None], Cancel]
) -> None:
    """Run the steps that are left of all combinations as one graph, and record each as it ends."""
    progress, cancel = watch
    left = [trial for trial in trials if trial.result is None and trial.change.category in TRIED]
    for trial in left:
        if not trial.change.to_run:
            trial.result = tried_model(trial.recorder, trial.change, trial.recorder.settle(trial.change))
    running = {trial.label: trial for trial in left if trial.change.to_run}
    if not running or cancel.is_set():
        return
    runs: dict[str, Running] = {}
    with ExitStack() as stack:
        stack.callback(_release, runs)
        steps = _steps(project, running, options.model, runs, cancel)
        if options.engine != "inline":
            stack.enter_context(apply_lock(project.worktree.common_dir))
        engine = engine_for(project, options.engine, options.jobs)
        stack.enter_context(engine.session())
        graph = Graph(tuple(node for trial in running.values() for node in _nodes(project, trial)))
        for outcome in engine.execute(graph, steps, _only_work(progress), cancel):
            _conclude(running[outcome.model], outcome, runs.get(outcome.model))


def _only_work(progress: Callable[[Event], None]) -> Callable[[Event], None]:
    """Leave out what is reused: with many combinations it would be most of what is said."""
    return lambda event: None if event.progress is Progress.REUSED else progress(event)


def _release(runs: Mapping[str, Running]) -> None:
    """Leave the intents of runs without a record to the next command."""
    for run in runs.values():
        run.intent.release()


def _conclude(trial: _Trial, outcome: Outcome, running: Running | None) -> None:
    """Record what came of a combination; one that had not begun when all was stopped leaves nothing behind."""
    if running is None and outcome.cancelled:
        return
    outcome = replace(outcome, model=trial.change.model)
    if running is None:
        conclusion = trial.recorder.record(trial.change, trial.run_id, outcome)
    else:
        conclusion = trial.recorder.conclude(trial.change, running, outcome)
    trial.result = tried_model(trial.recorder, trial.change, conclusion)


def _steps(
    project: Project, running: Mapping[str, _Trial], model: str, runs: dict[str, Running], cancel: Cancel
) -> SweepSteps:
    first = next(iter(running.values())).prepared
    code = first.code.get(model)
    folder = materialise(code, first.read, project.state_dir / "code") if code else None
    directory, intents = first.spec.models[model].directory, Intents(project.worktree.common_dir)
    for trial in running.values():
        trial.run_id = secrets.token_hex(8)
        trial.header = trial.recorder.header(trial.change, trial.run_id)

    def start(label: str) -> Running:
        trial = running[label]
        return Running(trial.run_id, intents.open(trial.run_id, trial.header), directory, folder)

    return SweepSteps(run_steps(project, first, runs), model, runs, start, cancel)


def _nodes(project: Project, trial: _Trial) -> Iterator[Node]:
    """Yield the nodes of a combination under its label: an engine knows models by their names alone."""
    prepared, label = trial.prepared, trial.label
    settings = lambda model, step: settings_of(project, prepared.spec, model, step)  # noqa: E731
    for node in compile_graph([trial.change], prepared.spec.models, settings).nodes:
        upstream = {role: f"{label}/{maker.rpartition('/')[2]}" for role, maker in node.upstream.items()}
        yield replace(node, id=f"{label}/{node.step}", model=label, upstream=upstream)


def _sorted(trials: Sequence[_Trial], metric: str | None) -> list[_Trial]:
    """Return the combinations with the best first: those that pass, those that do not, those that failed."""

    def order(trial: _Trial) -> tuple[int, float]:
        loss = _loss(trial, metric)
        if loss is None or trial.result is None:
            return 2, 0.0
        return int(not _passed(trial.result)), loss

    return sorted(trials, key=order)


def _loss(trial: _Trial, metric: str | None) -> float | None:
    """Return the value of the metric, less where it is better; None where there is none."""
    run = trial.result.run if trial.result else None
    value = run.metrics.get(metric or "") if run else None
    if value is None:
        return None
    return abs(value) if metric in NEARER_ZERO_IS_BETTER else value if metric in LOWER_IS_BETTER else -value


def _passed(result: TriedModel) -> bool:
    return result.run is not None and result.run.status is RunStatus.PASSED
