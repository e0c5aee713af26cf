"""Deployed: a fact about what really runs somewhere, told by whoever or whatever put it there."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace
from difflib import get_close_matches

from custody.app.branch import require_ledger
from custody.app.project import Project
from custody.app.records import named_now
from custody.app.stage_edit import known_versions, model_state
from custody.app.who import source_of
from custody.core.deployments import Standing, deployed_at, deployed_record, standing
from custody.core.stages import NONE
from custody.domain.record import Deployed, ModelState
from custody.errors import RefusedError, UsageError
from custody.spec.schema import keeps, schema

_WHERE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,63}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Told:
    """What is said: a version, or `none`, runs at `where`; `artifact` is the digest of what was found there."""

    version: str
    where: str
    stage: str = "production"
    artifact: str | None = None
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is recorded now: `before` is what was said of the place until then, `commit` None where nothing is new.

    `item` is None where nothing runs there any more. `standing` is how it stands to its stage, which points to
    `declared`. Where it could not be shared, `unshared` says why.
    """

    model: str
    told: Told
    item: Deployed | None
    before: Deployed | None
    standing: Standing | None
    declared: str | None
    commit: str | None
    shared: bool = True
    unshared: str = ""


def deployed(project: Project, model: str, told: Told) -> Deployment:
    """Record what runs at a place, and share the fact; what was said already is not said again.

    Raises UsageError where there is no such model or version, or a name that cannot be one, RefusedError where the
    artifact is not that of the version.
    """
    _checked(told)
    require_ledger(project)
    project.ledger.fetch()
    state = named_now(project.ledger.state(), model) or model_state(project, model, "deployed")
    before = deployed_at(state, told.where, told.stage)
    gone = told.version == NONE
    item = _gone(state, told, before) if gone else _item(state, told)
    item = replace(item, by=project.job.actor or project.ledger.actor, at=project.now())
    if before and not gone and _same(before, item):
        return _told(state, told, before, before, None)
    source = source_of(project, project.worktree.commit("HEAD"))
    record = deployed_record(state, item, source, project.ledger.commit_of(item.run), gone=gone)
    commit = project.ledger.append(record)
    shared = project.ledger.share()
    reason = "" if shared.landed else shared.reason
    now = deployed_at(project.ledger.model(state.name), told.where, told.stage)
    return _told(project.ledger.model(state.name), told, now, before, commit, reason)


def _told(
    state: ModelState, told: Told, item: Deployed | None, before: Deployed | None, commit: str | None, reason: str = ""
) -> Deployment:
    pointer = state.stages.get(told.stage)
    stands = standing(state, item) if item else None
    declared = pointer.version if pointer else None
    return Deployment(state.name, told, item, before, stands, declared, commit, not reason, reason)


def require_place(where: str) -> None:
    """Raise UsageError for what cannot be the name of a place."""
    if not _WHERE.fullmatch(where) or where == NONE:
        message = f"{where!r} cannot be the name of a place: letters, digits and . _ : / @ -, 64 at most"
        raise UsageError(message, code="E648", help=("--where eu-cluster",))


def _checked(told: Told) -> None:
    require_place(told.where)
    if told.stage == NONE or not keeps(schema("model")["properties"]["stages"], {told.stage: "auto"}):
        raise UsageError(f"{told.stage!r} cannot be a stage", code="E648", help=("--stage production",))
    if told.artifact and not _DIGEST.fullmatch(told.artifact):
        message = f"{told.artifact!r} is no digest: sha256: and 64 digits"
        raise UsageError(message, code="E648", help=('--artifact "sha256:$(sha256sum FILE | cut -c1-64)"',))


def _item(state: ModelState, told: Told) -> Deployed:
    version = state.versions.get(told.version)
    if version is None:
        near = get_close_matches(told.version, list(state.versions), 1)
        hint = (f"did you mean {near[0]}?",) if near else ()
        message = f"{state.name} has no version {told.version!r}"
        raise UsageError(message, code="E603", help=(*hint, known_versions(state)))
    artifact = told.artifact.removeprefix("sha256:") if told.artifact else None
    if artifact and artifact != version.artifact:
        other = next((item.version for item in state.versions.values() if item.artifact == artifact), None)
        raise RefusedError(
            f"what runs at {told.where} is not {state.name} {version.version}: {told.artifact} was found",
            code="E607",
            because=(f"the artifact of {version.version} is sha256:{version.artifact}",),
            help=(f"custody deployed {state.name} {other} --where {told.where}",)
            if other
            else (f"custody show {version.run[:8]}",),
        )
    where = told.where, told.stage, version.version, version.run
    return Deployed(secrets.token_hex(8), *where, artifact, "", "", told.remark)


def _gone(state: ModelState, told: Told, before: Deployed | None) -> Deployed:
    """Return what does not run there any more. Raises UsageError where nothing is known to."""
    if before is None:
        places = ", ".join(sorted({f"{item.where} ({item.stage})" for item in state.deployed})) or "none is recorded"
        message = f"nothing of {state.name} is recorded to run at {told.where} for {told.stage}"
        raise UsageError(message, code="E648", help=(f"places: {places}",))
    return replace(before, record=secrets.token_hex(8), artifact=None, remark=told.remark)


def _same(before: Deployed, item: Deployed) -> bool:
    told = item.artifact is None or item.artifact == before.artifact
    return before.run == item.run and told and item.remark in {None, before.remark}
