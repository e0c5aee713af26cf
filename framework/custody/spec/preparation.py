"""What is wrong with the steps of `prepare:`: transformers, their parameters, and the columns they are for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from custody.core.keys import features_of
from custody.core.preparation import GROUPS, PIPELINE, group_of, place_of, selected
from custody.domain.problem import Place, Problem, Severity
from custody.domain.spec import DatasetSpec, Document, Manifest, ModelSpec
from custody.domain.uses import Uses
from custody.spec.build import TABULAR
from custody.spec.estimators import PREFIX, ancestry, locate, parameter_problems
from custody.spec.hints import meant, nearest
from custody.spec.sources import find, public
from custody.spec.words import listed, say

_MIXIN = "TransformerMixin"
_OWN = ("uses", "steps", "columns")


def shape_problems(document: Document) -> Iterator[Problem]:
    """Yield what a schema cannot say of `prepare:`: which keys go together, and that columns come first."""
    value = document.value.get("prepare")
    steps = value.get("steps") if isinstance(value, Mapping) else value
    if isinstance(value, Mapping):
        yield from _together(document, "prepare", value)
    if not isinstance(steps, list):
        return
    base = "prepare" if isinstance(value, list) else "prepare.steps"
    for index, step in enumerate(steps):
        if not isinstance(step, Mapping):
            continue
        yield from _together(document, f"{base}.{index}", step)
        if index and "columns" in step:
            place = document.places.get(f"{base}.{index}.columns#key")
            message = "steps by column can only be the first: after them the columns are others"
            yield Problem("E106", message, place, help=("make it the first step",))


def _together(document: Document, dotted: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    own = [key for key in _OWN if key in value]
    if len(own) != 1:
        place = document.places.get(f"{dotted}.{own[-1]}#key") if own else document.place(dotted)
        wanted = "`uses`, `steps` or `columns`" if dotted == "prepare" else "`uses` or `columns`"
        found = " and ".join(f"`{key}`" for key in own) or "none of them"
        yield Problem("E102" if not own else "E106", f"`{dotted}` has {found}, expected one of {wanted}", place)
        return
    for key, needs in (("with", "uses"), ("files", "uses"), ("rest", "columns")):
        if key in value and needs not in value:
            place = document.places.get(f"{dotted}.{key}#key")
            yield Problem("E106", f"`{dotted}.{key}` goes with `{needs}`", place, help=(f"remove `{key}`",))
    for name, steps in value.get("columns", {}).items():
        for index, step in enumerate(steps if isinstance(steps, list) else [steps]):
            if isinstance(step, Mapping) and "uses" not in step:
                at = f"{dotted}.columns.{name}" + (f".{index}" if isinstance(steps, list) else "")
                yield Problem("E102", f'`{say(at, quote=False)}` has no "uses"', document.place(at))


def preparation_problems(model: ModelSpec, dataset: DatasetSpec | None, manifest: Manifest | None) -> Iterator[Problem]:
    """Yield what is wrong with the steps of `prepare:` of a model, and, where there is a version, with its columns."""
    document = model.documents["pipeline"]
    for index, step in enumerate(model.prepare.with_["steps"]):
        path = f"steps.{index}"
        if "columns" not in step:
            yield from _transformer_problems(document, path, step, first=index == 0)
            continue
        for name, inner in step["columns"].items():
            for place, item in enumerate(inner):
                yield from _transformer_problems(document, f"{path}.columns.{name}.{place}", item, first=False)
        if dataset and manifest:
            kinds = {
                name: str(manifest.columns[name].get("kind", ""))
                for name in features_of(model, dataset, manifest)
                if name in manifest.columns
            }
            yield from _column_problems(document, path, step, kinds)


def _transformer_problems(document: Document, path: str, step: Mapping[str, Any], *, first: bool) -> Iterator[Problem]:
    name, place = step["uses"], place_of(document, f"{path}.uses")
    if first and name == TABULAR:
        return
    if ":" in name:
        message = f"{say(name)} is a function: it prepares alone, as `prepare: {{uses: …}}`"
        yield Problem("E208", message, place, help=("call the other steps in the function",))
    elif locate(name) is None:
        yield _unknown(name, place)
    elif _MIXIN not in ancestry(name):
        message = f"{name} is no transformer: it cannot prepare columns"
        yield Problem("E212", message, place, help=("a model belongs in `train`",))
    else:
        yield from parameter_problems(
            name,
            step.get("with", {}),
            f"prepare.{path}.with",
            lambda key: place_of(document, f"{path}.with.{key}", key=True),
            lambda key: place_of(document, f"{path}.with.{key}"),
            place,
        )


def _unknown(name: str, place: Place) -> Problem:
    cls = name.rpartition(".")[2]
    near = cls if find(cls) else nearest(cls.replace("_", ""), transformers())
    advice = f"did you mean {say(PREFIX + near)}?" if near else f"for example: {PREFIX}StandardScaler"
    message = f"scikit-learn has no transformer {say(name)}"
    return Problem("E208", message, place, label="not in the installed scikit-learn", help=(advice,))


def named(prepare: Uses) -> tuple[str, ...]:
    """Return the classes that the steps of `prepare` name; none where it has no steps."""
    steps = prepare.with_["steps"] if prepare.name == PIPELINE else ()
    inner = [item for step in steps for group in step.get("columns", {}).values() for item in group]
    return tuple(dict.fromkeys(step["uses"] for step in (*steps, *inner) if step.get("uses", "").startswith(PREFIX)))


@cache
def transformers() -> tuple[str, ...]:
    """Return the names of all transformers of the installed scikit-learn."""
    return tuple(cls for cls in sorted(public()) if _MIXIN in ancestry(f"{PREFIX}{cls}"))


def _column_problems(
    document: Document, path: str, step: Mapping[str, Any], kinds: Mapping[str, str]
) -> Iterator[Problem]:
    covered = selected(step["columns"], kinds)
    for name, columns in covered.items():
        place = place_of(document, f"{path}.columns.{name}", key=True)
        if name in kinds and name in GROUPS:
            message = f"{say(name)} is both a feature and the name for a kind of columns"
            yield Problem("E106", message, place, help=("rename the column in its source",))
        elif name not in kinds and name not in GROUPS:
            message = f"{say(name)} is neither a feature of the model nor one of {listed(GROUPS)}"
            yield Problem("E204", message, place, help=meant(name, (*kinds, *GROUPS)))
        elif not columns:
            message = f"no feature is left for {say(name)}: its steps do nothing"
            yield Problem("W208", message, place, help=("remove it",), severity=Severity.WARNING)
    taken = {column for columns in covered.values() for column in columns}
    left = [name for name in kinds if name not in taken]
    if left and "rest" not in step:
        groups = dict.fromkeys(str(group_of(kinds[name])) for name in left)
        message = f"no step is given for {listed(left, quote=True)}"
        advice = (f"add `{listed(groups)}` to `columns`", "or `rest: drop`, or `rest: keep`")
        yield Problem("E217", message, place_of(document, f"{path}.columns", key=True), help=advice)
