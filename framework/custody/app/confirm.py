"""Confirm: wait until the servers that are known answer with what a stage points to now."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from custody.app.project import Project
from custody.app.servers import workers
from custody.domain.record import ModelState
from custody.serving.asking import ask_version

_PAUSE = 0.1
_ANSWER = 2.0
"""Seconds that one answer may take."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a server said: `version` is what it answers with, None where it does not say; `error` why not."""

    where: str
    address: str
    version: str | None
    confirmed: bool
    seconds: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class Confirmations:
    """All servers that were asked, and the recorded places that have no address to be asked at."""

    asked: tuple[Confirmation, ...] = ()
    unasked: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        return all(item.confirmed for item in self.asked)


def await_servers(project: Project, state: ModelState, stage: str, wait: float) -> Confirmations:
    """Return once every server that follows `stage` answers with what it points to, or after `wait` seconds.

    Asked are the servers at work on this clone, and the places that `deployed` names by an http(s) address.
    """
    pointer = state.stages.get(stage)
    run = pointer.run if pointer else None
    servers = _servers(project, state, stage)
    began, found = time.monotonic(), dict[str, Confirmation]()
    while True:
        for address, where in servers.items():
            if address not in found or not found[address].confirmed:
                found[address] = _ask(address, where, (state.name, *state.was), run, began)
        left = wait - (time.monotonic() - began)
        if all(item.confirmed for item in found.values()) or left <= 0:
            break
        time.sleep(min(_PAUSE, left))
    known = set(servers.values())
    unasked = (item.where for item in state.deployed if item.stage == stage and item.where not in known)
    return Confirmations(tuple(found.values()), tuple(unasked))


def _servers(project: Project, state: ModelState, stage: str) -> dict[str, str]:
    """Return the place of each server to ask, by its address."""
    names = {state.name, *state.was}
    found = {
        worker.address: worker.where
        for worker in workers(project.worktree.common_dir)
        if any(item.get("stage") == stage for name, item in worker.serving.items() if name in names)
    }
    for item in state.deployed:
        if item.stage == stage and item.where.startswith(("http://", "https://")) and item.where not in found.values():
            found.setdefault(item.where, item.where)
    return found


def _ask(address: str, where: str, names: tuple[str, ...], run: str | None, began: float) -> Confirmation:
    error = ""
    said: list[tuple[Any, Any]] = []
    try:
        said = list(_answers(ask_version(address, _ANSWER), names))
    except (OSError, ValueError) as failure:
        error = str(failure) or type(failure).__name__
    confirmed = not error and {found for found, _ in said} == ({run} if run else set())
    # the one that lags is the one to tell
    version = next((str(version) for found, version in said if found != run), None) if not confirmed else None
    told = version or next((str(version) for _, version in said), None)
    return Confirmation(where, address, told, confirmed, round(time.monotonic() - began, 3), error)


def _answers(value: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[tuple[Any, Any]]:
    """Yield (run, version) of each worker that answers for the model, the one that was asked among them."""
    told = [value.get("models"), *(item.get("serving") for item in _dicts(value.get("workers")))]
    for models in told:
        for name, item in models.items() if isinstance(models, dict) else ():
            if name in names and isinstance(item, dict):
                yield item.get("run"), item.get("version")


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    yield from (item for item in (value if isinstance(value, list) else ()) if isinstance(item, dict))
