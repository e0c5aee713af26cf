from __future__ import annotations

from pathlib import Path

from custody.app.readme import render_readme
from custody.core.fold import encode_stages, stages_path
from custody.domain.record import ModelState, StagePointer, State
from custody.git.objects import Repository, open_repository, signature
from custody.ledger.readme import Readme
from tests.unit.ledger.test_index import ADA

POINTER = StagePointer("a" * 16, "v1", "b" * 16, "2026-01-05T08:00:00+00:00")
MODELS = {
    "b": ModelState("b", stages={"production": POINTER, "canary": POINTER}),
    "a": ModelState("a"),
    "c": ModelState("c", retired=True),
    "a-b": ModelState("a-b", stages={"production": POINTER}),
}


def commit(opened: Repository, models: dict[str, ModelState]) -> str:
    blobs = {stages_path(name): opened.write_blob(encode_stages(model)) for name, model in models.items()}
    who = signature(ADA)
    return str(opened.raw.create_commit(None, who, who, "x", opened.write_tree(None, blobs), []))


def test_a_readme_in_parts_is_the_whole_one_whatever_changed(repository: Path) -> None:
    opened = open_repository(repository, durable=False)
    readme = Readme(opened, render_readme)
    present = dict(MODELS)
    edits = (
        {},
        {"a": ModelState("a", stages={"production": POINTER})},
        {"c": ModelState("c"), "d": ModelState("d", stages={"x": POINTER})},
        {"b": ModelState("b", retired=True)},
    )
    for edit in edits:
        present |= edit
        head = commit(opened, present)
        for own in ({}, {"new": ModelState("new", stages={"production": POINTER})}, {"b": ModelState("b")}):
            whole = render_readme(State(None, {**present, **own}))
            assert readme.after(head, own) == whole
            assert Readme(opened, render_readme).after(head, own) == whole
