"""The compiler: one wave of changes to a Graph. Knows keys and roles, nothing of engines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from custody.core.keys import UPSTREAM
from custody.domain.graph import STEPS, Graph, Node
from custody.domain.plan import Change, Do
from custody.domain.spec import ModelSpec
from custody.domain.uses import Uses

Settings = Callable[[str, str], Mapping[str, Any]]
"""(model, step) to what the step is told beside its key's inputs."""


def compile_graph(planned: Iterable[Change], models: Mapping[str, ModelSpec], settings: Settings) -> Graph:
    """Return the nodes of all changes that have steps to run, breadth first: the first steps of all models first."""
    running = [change for change in planned if change.active and change.to_run]
    nodes = {node.id: node for change in running for node in _nodes(change, models[change.model], settings)}
    ordered = [f"{change.model}/{step}" for step in STEPS for change in running]
    return Graph(tuple(nodes[name] for name in ordered))


def _nodes(change: Change, model: ModelSpec, settings: Settings) -> Iterator[Node]:
    for step in change.steps:
        uses = how_to_run(model, step.step)
        yield Node(
            id=f"{model.name}/{step.step}",
            model=model.name,
            step=step.step,
            inputs=step.inputs,
            upstream={role: f"{model.name}/{maker}" for role, maker in UPSTREAM[step.step].items()},
            settings=settings(model.name, step.step),
            timeout=uses.timeout,
            retries=uses.retries,
            memory=uses.memory,
            known=step.known if step.do is Do.REUSE else None,
            forced=step.forced,
        )


def how_to_run(model: ModelSpec, step: str) -> Uses:
    """Return the `uses` that holds the step's time-out, retries and memory."""
    match step:
        case "prepare":
            return model.prepare
        case "train":
            return model.train
        case _:
            return model.steps.get(step) or Uses(step)
