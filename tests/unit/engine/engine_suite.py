"""One suite for every engine: what a graph's records, outcomes and events are, whatever runs it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from custody.core.keys import step_key
from custody.domain.graph import (
    STEPS,
    Event,
    Graph,
    Node,
    Outcome,
    Progress,
    Ref,
    StepOutput,
    StepRecord,
    StepStatus,
)
from custody.domain.ports import Ending, Engine, ProcessEnd, Task
from custody.errors import StoreError

PATH = os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH"))))
"""PYTHONPATH for processes that import `step_functions`, and the custody that is tested."""
_STATUS = {
    Ending.DONE: StepStatus.DONE,
    Ending.TIMED_OUT: StepStatus.TIMED_OUT,
    Ending.CANCELLED: StepStatus.CANCELLED,
}


class TinySteps:
    """Steps that run the functions of `step_functions`; what begins and ends is written down."""

    def __init__(self, folder: Path, *, reuse: dict[str, StepRecord] | None = None) -> None:
        self.folder = folder
        self.reuse = reuse or {}
        self.begun: list[str] = []
        self.upstream: dict[str, dict[str, Ref]] = {}
        self.raises: dict[str, Exception] = {}

    def log(self, node: str) -> Path:
        return self.folder / "logs" / f"{node.replace('/', '-')}.log"

    def begin(self, node: Node, upstream: dict[str, Ref]) -> StepRecord | Task:
        self.begun.append(node.id)
        self.upstream[node.id] = dict(upstream)
        if node.id in self.raises:
            raise self.raises[node.id]
        if node.id in self.reuse:
            return self.reuse[node.id]
        digests = {role: ref.digest for role, ref in upstream.items()}
        key = step_key(node.step, node.inputs, digests)
        payload = {"step": node.step, "upstream": digests, **node.settings}
        return Task(f"step_functions:{node.settings.get('do', 'make')}", payload, self.log(node.id), key, digests)

    def end(self, node: Node, task: Task, end: ProcessEnd) -> StepRecord:
        done = end.ending is Ending.DONE
        return StepRecord(
            node.step,
            _STATUS.get(end.ending, StepStatus.FAILED),
            task.key,
            node.inputs,
            task.upstream,
            StepOutput.from_dict(end.result) if done else None,
            end.error,
            seconds=end.seconds,
            cpu=end.cpu,
            memory=end.memory,
            attempts=end.attempts,
        )


def chain(model: str, *does: dict[str, Any] | str, **options: Any) -> tuple[Node, ...]:
    """Return a model whose steps each need the one before; `does` says what each does, `options` go to the last."""
    nodes = []
    for at, what in enumerate(does):
        settings = {"do": what} if isinstance(what, str) else what
        upstream = {"before": nodes[-1].id} if nodes else {}
        more = options if at == len(does) - 1 else {}
        nodes.append(Node(f"{model}/{STEPS[at]}", model, STEPS[at], {"model": model}, upstream, settings, **more))
    return tuple(nodes)


def graph(*models: Iterable[Node]) -> Graph:
    return Graph(tuple(node for model in models for node in model))


def record(step: str, source: str = "r1") -> StepRecord:
    output = StepOutput(Ref(step, "known" + step, "known" + step))
    return StepRecord(step, StepStatus.REUSED, "key", {}, {}, output, source=source)


def plain(step: StepRecord) -> StepRecord:
    """Return a record without what differs from run to run."""
    return replace(step, seconds=None, cpu=None, memory=None)


@dataclass
class Ran:
    outcomes: list[Outcome]
    events: list[Event]
    steps: TinySteps
    threads: set[int] = field(default_factory=set)

    def __getitem__(self, model: str) -> Outcome:
        return next(outcome for outcome in self.outcomes if outcome.model == model)

    def last(self, model: str) -> StepRecord:
        return self[model].steps[-1]

    def progress(self, node: str) -> list[Progress]:
        return [event.progress for event in self.events if event.node.id == node]


Run = Callable[..., Ran]


def run_graph(
    engine: Engine,
    what: Graph,
    steps: TinySteps,
    cancel: threading.Event | None = None,
    on_event: Callable[[Event], None] = lambda _: None,
    on_outcome: Callable[[Outcome], None] = lambda _: None,
) -> Ran:
    """Run a graph to its end inside a session."""
    ran = Ran([], [], steps)

    def progress(event: Event) -> None:
        ran.events.append(event)
        ran.threads.add(threading.get_ident())
        on_event(event)

    for outcome in engine.execute(what, steps, progress, cancel or threading.Event()):
        ran.outcomes.append(outcome)
        on_outcome(outcome)
    return ran


class EngineSuite:
    """Subclasses offer the fixture `engine`, in a session."""

    @pytest.fixture
    def run(self, engine: Engine, tmp_path: Path) -> Run:
        def run(*models: Iterable[Node], steps: TinySteps | None = None, **options: Any) -> Ran:
            return run_graph(engine, graph(*models), steps or TinySteps(tmp_path), **options)

        return run

    def test_every_step_of_every_model_is_done_in_order(self, run: Run) -> None:
        ran = run(chain("a", *["make"] * 6), chain("b", *["make"] * 6), chain("c", "make"))
        assert {outcome.model for outcome in ran.outcomes} == {"a", "b", "c"}
        assert [step.step for step in ran["a"].steps] == list(STEPS)
        assert all(step.usable for outcome in ran.outcomes for step in outcome.steps)
        assert not any(outcome.cancelled or outcome.failed for outcome in ran.outcomes)
        assert all(outcome.seconds > 0 for outcome in ran.outcomes)
        assert ran.progress("a/train") == [Progress.STARTED, Progress.DONE]

    def test_outputs_flow_on_by_role(self, run: Run) -> None:
        fetch, split = chain("a", "make", "make")
        train = Node("a/train", "a", "train", {}, {"table": "a/fetch", "split": "a/validate"}, {"do": "make"})
        ran = run((fetch, split, train))
        table, part = (step.output.ref for step in ran["a"].steps[:2] if step.output)
        assert ran.steps.upstream["a/train"] == {"table": table, "split": part}
        assert ran.last("a").upstream == {"table": table.digest, "split": part.digest}

    def test_a_failed_step_ends_its_model_and_no_other(self, run: Run) -> None:
        ran = run(chain("a", "make", "raise_value_error", "make"), chain("b", "make", "make", "make"))
        assert [step.status for step in ran["a"].steps] == [StepStatus.DONE, StepStatus.FAILED]
        assert ran.last("a").error == "ValueError: two lines"
        assert ran["a"].failed is ran.last("a")
        assert not ran["a"].cancelled
        assert "a/split" not in ran.steps.begun
        assert [step.status for step in ran["b"].steps] == [StepStatus.DONE] * 3
        assert ran.progress("a/validate") == [Progress.STARTED, Progress.FAILED]
        assert ran.events[-1].detail in {"", "ValueError: two lines"}

    def test_two_models_fail_each_in_its_way_while_a_third_is_done(self, run: Run) -> None:
        ran = run(chain("a", "segfault"), chain("b", "leave"), chain("c", "make", "make"))
        assert (ran.last("a").error, ran.last("b").error) == ("SIGSEGV", "exit 7")
        assert ran.last("c").usable

    def test_a_hanging_step_times_out_and_is_tried_again(self, run: Run, tmp_path: Path) -> None:
        hang = {"do": "hang", "started": str(tmp_path / "started")}
        ran = run(chain("a", hang, timeout=0.3, retries=1))
        assert (ran.last("a").status, ran.last("a").error) == (StepStatus.TIMED_OUT, "timed out after 0.3 s")
        assert ran.last("a").attempts == 2
        assert ran.progress("a/fetch") == [Progress.STARTED, Progress.RETRYING, Progress.TIMED_OUT]
        assert ran.events[1].detail == "timed out after 0.3 s; attempt 2 of 2"

    def test_retries_until_it_works(self, run: Run, tmp_path: Path) -> None:
        until = {"do": "leave_until", "counter": str(tmp_path / "counter"), "calls": 3}
        ran = run(chain("a", until, retries=3))
        assert (ran.last("a").status, ran.last("a").attempts) == (StepStatus.DONE, 3)
        assert ran.progress("a/fetch") == [Progress.STARTED, Progress.RETRYING, Progress.RETRYING, Progress.DONE]
        assert ran.steps.log("a/fetch").read_text() == "call 1\ncall 2\ncall 3\n"
        assert ran.steps.begun == ["a/fetch"]

    def test_retries_run_out(self, run: Run) -> None:
        ran = run(chain("a", "leave", retries=2))
        assert (ran.last("a").status, ran.last("a").attempts, ran.last("a").error) == (StepStatus.FAILED, 3, "exit 7")

    def test_a_step_beyond_its_memory_fails(self, run: Run) -> None:
        ran = run(chain("a", {"do": "allocate", "bytes": 1 << 31}, memory=1 << 30))
        assert (ran.last("a").status, ran.last("a").error) == (StepStatus.FAILED, "out of memory")

    def test_a_large_result_comes_back_whole(self, run: Run) -> None:
        ran = run(chain("a", {"do": "make", "bytes": 3_000_000}))
        output = ran.last("a").output
        assert output is not None
        assert len(output.facts["text"]) == 3_000_000

    def test_what_begin_returns_is_the_result(self, run: Run, tmp_path: Path) -> None:
        steps = TinySteps(tmp_path, reuse={"a/fetch": record("fetch"), "a/split": record("split")})
        ran = run(chain("a", "make", "make", "make"), steps=steps)
        assert [step.status for step in ran["a"].steps] == [StepStatus.REUSED, StepStatus.DONE, StepStatus.REUSED]
        assert ran["a"].steps[0] is steps.reuse["a/fetch"]
        assert ran["a"].steps[1].upstream == {"before": "knownfetch"}
        assert ran.progress("a/fetch") == [Progress.REUSED]

    def test_known_results_are_not_begun(self, run: Run) -> None:
        fetch, train = chain("a", "make", "make")
        ran = run((replace(fetch, known=record("fetch")), train))
        assert ran.steps.begun == ["a/validate"]
        assert [step.status for step in ran["a"].steps] == [StepStatus.REUSED, StepStatus.DONE]
        assert ran.last("a").upstream == {"before": "knownfetch"}
        assert ran.progress("a/fetch") == [Progress.REUSED]

    def test_all_known_runs_nothing(self, run: Run) -> None:
        ran = run([replace(node, known=record(node.step)) for node in chain("a", "make", "make")])
        assert ran.steps.begun == []
        assert [step.status for step in ran["a"].steps] == [StepStatus.REUSED] * 2
        assert not ran["a"].cancelled

    def test_an_empty_graph_has_no_outcomes(self, run: Run) -> None:
        assert run().outcomes == []

    def test_cancelling_kills_what_runs_and_keeps_what_had_ended(self, run: Run, tmp_path: Path) -> None:
        cancel = threading.Event()
        hang = {"do": "hang", "started": str(tmp_path / "started")}
        hanging = (chain(name, hang, "make", retries=3) for name in "bcd")
        ran = run(chain("a", "make"), *hanging, cancel=cancel, on_outcome=lambda _: cancel.set())
        assert next(outcome.model for outcome in ran.outcomes) == "a"
        assert ran.last("a").status is StepStatus.DONE
        assert not ran["a"].cancelled
        assert len(ran.outcomes) == 4
        assert all(outcome.cancelled for outcome in ran.outcomes[1:])
        assert {step.status for outcome in ran.outcomes[1:] for step in outcome.steps} <= {StepStatus.CANCELLED}
        assert ran["d"].steps == ()

    def test_cancelled_during_a_step(self, run: Run, tmp_path: Path) -> None:
        cancel, started = threading.Event(), tmp_path / "started"
        watcher = threading.Thread(target=_when_there, args=(started, cancel.set))
        watcher.start()
        ran = run(chain("a", "make", {"do": "hang", "started": str(started)}, retries=2), cancel=cancel)
        watcher.join()
        assert [step.status for step in ran["a"].steps] == [StepStatus.DONE, StepStatus.CANCELLED]
        assert (ran.last("a").error, ran.last("a").attempts) == ("cancelled", 1)
        assert ran["a"].cancelled
        assert ran.progress("a/validate") == [Progress.STARTED, Progress.CANCELLED]

    def test_cancelled_before_it_began(self, run: Run) -> None:
        cancel = threading.Event()
        cancel.set()
        ran = run(chain("a", "make"), chain("b", "make"), cancel=cancel)
        assert [(outcome.steps, outcome.cancelled) for outcome in ran.outcomes] == [((), True)] * 2
        assert ran.steps.begun == []

    def test_what_custody_cannot_fetch_or_keep_fails_the_step(self, run: Run, tmp_path: Path) -> None:
        steps = TinySteps(tmp_path)
        steps.raises["a/validate"] = StoreError("object 12ab is missing")
        ran = run(chain("a", "make", "make"), chain("b", "make"), steps=steps)
        assert (ran.last("a").status, ran.last("a").error) == (StepStatus.FAILED, "object 12ab is missing")
        before = ran["a"].steps[0].output
        assert before is not None
        assert ran.last("a").key == step_key("validate", {"model": "a"}, {"before": before.ref.digest})
        assert ran.last("b").usable

    def test_a_bug_is_raised_where_the_outcomes_are_consumed(self, run: Run, tmp_path: Path) -> None:
        steps = TinySteps(tmp_path)
        steps.raises["b/fetch"] = TypeError("a bug")
        with pytest.raises(TypeError, match="a bug"):
            run(chain("a", {"do": "hang", "started": str(tmp_path / "started")}), chain("b", "make"), steps=steps)

    def test_an_outcome_comes_as_soon_as_its_model_has_ended(self, run: Run, tmp_path: Path) -> None:
        flag = tmp_path / "flag"
        ran = run(
            chain("a", {"do": "wait_for", "path": str(flag)}),
            chain("b", "make", "make"),
            on_outcome=lambda outcome: flag.touch() if outcome.model == "b" else None,
        )
        assert [outcome.model for outcome in ran.outcomes] == ["b", "a"]

    def test_progress_is_reported_in_the_thread_of_the_consumer(self, run: Run) -> None:
        assert run(chain("a", "make"), chain("b", "make")).threads == {threading.get_ident()}

    def test_leaving_early_kills_what_runs(self, engine: Engine, tmp_path: Path) -> None:
        pid = tmp_path / "pid"
        what = graph(chain("a", "make"), chain("b", {"do": "say_pid_and_hang", "path": str(pid)}))
        events: list[Event] = []
        steps = TinySteps(tmp_path)
        outcomes = engine.execute(what, steps, events.append, threading.Event())
        assert next(outcomes).model == "a"
        _when_there(pid, lambda: None)
        outcomes.close()  # type: ignore[attr-defined]
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid.read_text()), 0)

    def test_a_graph_that_is_not_in_order_is_refused(self, run: Run) -> None:
        first, second = chain("a", "make", "make")
        with pytest.raises(ValueError, match="a/validate stands before what it needs"):
            run((second, first))


def _when_there(path: Path, then: Callable[[], None]) -> None:
    """Call `then` when the file has been written."""
    pause = threading.Event()
    while not (path.exists() and path.stat().st_size):
        pause.wait(0.01)
    then()
