"""The scheduling loop: whatever the graph and whatever fails, every model has one outcome and no step runs early."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from custody.domain.graph import Event, Graph, Node, Outcome, Progress, Ref, StepOutput, StepRecord, StepStatus
from custody.engine.inline import run_inline
from custody.engine.process import StepServer
from custody.engine.schedule import Wave
from custody.errors import StoreError


class Answering:
    """Steps of which every result is known at once, or cannot be had."""

    def __init__(self, failing: set[str]) -> None:
        self.failing = failing
        self.begun: list[str] = []
        self.early: list[str] = []
        self._ended: set[str] = set()
        self._lock = threading.Lock()

    def begin(self, node: Node, upstream: dict[str, Ref]) -> StepRecord:
        with self._lock:
            self.begun.append(node.id)
            if not self._ended.issuperset(node.upstream.values()) or upstream.keys() != node.upstream.keys():
                self.early.append(node.id)
        if node.id in self.failing:
            raise StoreError("it is not there")
        with self._lock:
            self._ended.add(node.id)
        return answer(node)

    def end(self, *_: object) -> StepRecord:
        raise AssertionError("nothing was to be run")


def answer(node: Node) -> StepRecord:
    ref = Ref(node.step, node.id, node.id)
    return StepRecord(node.step, StepStatus.REUSED, node.id, node.inputs, dict(node.upstream), StepOutput(ref))


@st.composite
def graphs(draw) -> Graph:
    nodes: list[Node] = []
    for model in range(draw(st.integers(0, 4))):
        made: list[str] = []
        for step in range(draw(st.integers(1, 5))):
            needs = draw(st.sets(st.sampled_from(made))) if made else set()
            name = f"m{model}/s{step}"
            nodes.append(Node(name, f"m{model}", f"s{step}", {}, {f"r{need}": need for need in sorted(needs)}))
            made.append(name)
    return Graph(tuple(nodes))


@settings(deadline=None, max_examples=150)
@given(graphs(), st.data(), st.integers(1, 4))
def test_every_model_has_one_outcome_and_every_step_its_turn(graph, data, jobs):
    names = [node.id for node in graph.nodes]
    failing = data.draw(st.sets(st.sampled_from(names))) if names else set()
    steps, events = Answering(failing), []
    outcomes = execute(graph, steps, events, jobs)
    assert sorted(outcome.model for outcome in outcomes) == sorted(graph.models)
    assert steps.early == []
    assert len(steps.begun) == len(set(steps.begun))
    for outcome in outcomes:
        nodes = [node for node in graph.nodes if node.model == outcome.model]
        order = [node.step for node in nodes]
        assert [step.step for step in outcome.steps] == [s for s in order if s in {r.step for r in outcome.steps}]
        assert not outcome.cancelled
        if not failing & {node.id for node in nodes}:
            assert len(outcome.steps) == len(nodes)
            assert outcome.failed is None
        else:
            assert outcome.failed is not None
            assert outcome.failed.error == "it is not there"
    ended = [event.node.id for event in events if event.progress is not Progress.STARTED]
    assert sorted(ended) == sorted(steps.begun)


@settings(deadline=None, max_examples=50)
@given(graphs(), st.integers(1, 4))
def test_what_is_known_is_never_begun(graph, jobs):
    known = Graph(tuple(Node(**{**fields(node), "known": answer(node)}) for node in graph.nodes))
    steps = Answering(set())
    outcomes = execute(known, steps, [], jobs)
    assert steps.begun == []
    assert all(outcome.failed is None and outcome.steps for outcome in outcomes)


def fields(node: Node) -> dict:
    return {name: getattr(node, name) for name in Node.__dataclass_fields__}


def execute(graph: Graph, steps: Answering, events: list[Event], jobs: int) -> list[Outcome]:
    wave = Wave(graph, steps, events.append, threading.Event(), StepServer(Path("unused")))
    return list(run_inline(wave, jobs, 0.0))


def test_engines_are_imported_without_prefect():
    code = "import sys, custody.engine.prefect; print('prefect' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
