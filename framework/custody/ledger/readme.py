"""README.md of the ledger's tree in parts: the rows of a model are made again where its folder has changed.

It is what rendering all models at once gives; a decision among thousands of models reads the changed ones alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from custody.core.fold import decode_stages, stages_path
from custody.domain.record import ModelState, State
from custody.git.objects import FOLDER, Repository
from custody.ledger.reader import decoded


class Readme:
    """Keeps the rows that it has made, by the tree of the model's folder."""

    def __init__(self, repository: Repository, render: Callable[[State], bytes]) -> None:
        self._repository = repository
        self._render = render
        self._rows: dict[str, tuple[str, bytes]] = {}

    def after(self, head: str, own: Mapping[str, ModelState]) -> bytes:
        """Return the README of the tree at `head` with the models of `own` as they are after it.

        Raises LedgerError where the state of a model cannot be read.
        """
        tree = self._repository.commit(head).tree
        top = self._repository.entry(tree, "models")
        entries = self._repository.tree(top.id) if top and top.mode == FOLDER else []
        folders = {entry.name: entry.id for entry in entries if entry.mode == FOLDER and entry.name not in own}
        new = [name for name, folder in folders.items() if self._rows.get(name, ("",))[0] != folder]
        for name, rows in self._made([self._state(tree, name) for name in new]).items():
            self._rows[name] = folders[name], rows
        made = self._made(list(own.values()))
        body = (made[name] if name in made else self._rows[name][1] for name in sorted({*folders, *own}))
        return b"".join([self._render(State()), *body])

    def _state(self, tree: str, name: str) -> ModelState:
        path = stages_path(name)
        return decoded(path, self._repository.file(tree, path) or b"", lambda data: decode_stages(name, data or None))

    def _made(self, models: list[ModelState]) -> dict[str, bytes]:
        """Return the rows of each model: all are rendered at once, one row a stage, or one for none."""
        whole = self._render(State(None, {model.name: model for model in models}))
        lines = iter(whole.removeprefix(self._render(State())).splitlines(keepends=True))
        ordered = sorted(models, key=lambda model: model.name)
        return {model.name: b"".join(next(lines, b"") for _ in model.stages or (None,)) for model in ordered}
