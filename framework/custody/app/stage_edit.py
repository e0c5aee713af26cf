"""The edit of a `stages:` line in the spec of a model, with what has to be known of the model for it."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches, unified_diff

from custody.app.project import Project
from custody.domain.record import ModelState
from custody.errors import UsageError
from custody.spec.edit import set_stage


@dataclass(frozen=True, slots=True)
class Edit:
    """The edit of one spec file: `diff` is empty where the file says so already."""

    path: str
    before: str
    after: str

    @property
    def diff(self) -> str:
        """A unified diff, as `git diff` shows it."""
        sides = self.before.splitlines(keepends=True), self.after.splitlines(keepends=True)
        lines = unified_diff(*sides, f"a/{self.path}", f"b/{self.path}")
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)

    def write(self, project: Project) -> None:
        """Write the file, where anything is to be changed."""
        if self.diff:
            (project.root / self.path).write_bytes(self.after.encode())


def model_state(project: Project, model: str, verb: str) -> ModelState:
    """Return what is recorded of a model. Raises UsageError where nothing is; `verb` is proposed with a near name."""
    models = project.ledger.state().models
    found = models.get(model)
    if found and found.renamed:
        message = f"{model} is called {found.renamed} now"
        raise UsageError(message, code="E601", help=(f"custody {verb} {found.renamed}",))
    if found:
        return found
    near = get_close_matches(model, models, 1)
    hint = (f"custody {verb} {near[0]}",) if near else ("custody status",)
    raise UsageError(f"nothing is recorded of {model!r}", code="E601", help=hint)


def stage_edit(project: Project, model: str, stage: str, value: str) -> Edit:
    """Return the edit that points a stage to `value`; nothing is written.

    Raises UsageError where the model is not declared, CustodyError where its spec is not edited by itself.
    """
    path = f"{project.config.models}/{model}/model.yaml"
    data = project.worktree.reader(None)(path)
    if data is None:
        message = f"{model} is recorded and not declared: there is no {path}"
        raise UsageError(message, code="E601", help=(f"git log -1 --stat -- {path}",))
    try:
        return Edit(path, data.decode(), set_stage(data, path, stage, value).decode())
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8", code="E110", help=(f"custody check {model}",)) from error


def pointed(state: ModelState, stage: str) -> str | None:
    """Return the version that a stage points to."""
    pointer = state.stages.get(stage)
    return pointer.version if pointer else None


def known_versions(state: ModelState) -> str:
    """Return which versions there are, in words."""
    return f"there are: {', '.join(state.versions) or 'no versions'} (custody log {state.name})"
