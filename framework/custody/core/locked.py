"""The locked environment: which packages a lock file names, and what differs from the one that a run was made in. Pure.

The environment is no input of a step, so that a bot's update of the lock file trains nothing; a difference is shown.
Where `environment: retrain` asks for it, the packages become an input once they differ from those of the last run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from custody.digest import digest, sha256
from custody.domain.plan import Change, Reason
from custody.domain.problem import Place
from custody.domain.record import Run
from custody.domain.spec import ModelSpec

_PINNED = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^]]*\])?\s*===?\s*([^\s;,\\#]+)")
_NAME = re.compile(r'name\s*=\s*"([^"]+)"\s*$')
_VERSION = re.compile(r'version\s*=\s*"([^"]+)"\s*$')


@dataclass(frozen=True)
class Lock:
    """The lock file as it stands: its path, blob id and bytes; `old` gives the bytes of an earlier blob, if here."""

    path: str
    blob: str
    data: bytes
    old: Callable[[str], bytes | None]

    @cached_property
    def packages(self) -> Mapping[str, tuple[str, int]]:
        return packages(self.data)

    @cached_property
    def signature(self) -> str:
        """The digest of what it locks, whatever else is written in the file."""
        return signature(self.data)


def packages(data: bytes) -> dict[str, tuple[str, int]]:
    """Return (version, line) of each package that a lock file names: `name==version` lines, or TOML `[[package]]`."""
    found: dict[str, tuple[str, int]] = {}
    name = ""
    for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
        if pinned := _PINNED.match(line):
            found[normal(pinned[1])] = (pinned[2], number)
        elif named := _NAME.match(line):
            name = normal(named[1])
        elif name and (version := _VERSION.match(line)):
            found[name], name = (version[1], number), ""
    return found


def signature(data: bytes) -> str:
    """Return the digest of the packages and versions that `data` names; of its bytes where it names none."""
    named = {name: version for name, (version, _) in packages(data).items()}
    return digest(named) if named else sha256(data)


def normal(name: str) -> str:
    """Return the name of a distribution as all spellings of it compare."""
    return re.sub(r"[-_.]+", "-", name).lower()


def environment_input(model: ModelSpec, last: Run | None, lock: Lock | None) -> str | None:
    """Return what the keys hold of the environment: that of the last run, until a difference is to retrain."""
    if last is None:
        return None
    keyed = last.environment.get("keyed")
    if not model.retrains_on_environment or lock is None:
        return keyed
    return keyed if _signature_of(last, lock) == lock.signature else lock.signature


def locked_with(change: Change, made: Run | None, lock: Lock | None) -> dict[str, str]:
    """Return what a run records of the lock file: `lock` its blob, `locked` the packages, `keyed` what its keys hold.

    `made` is the run that trained the model where it is reused: what was locked then counts.
    """
    key = next((step.inputs["environment"] for step in change.steps if step.inputs.get("environment")), None)
    keyed = {"keyed": str(key)} if key else {}
    if made and made.environment.get("lock"):
        return {name: str(made.environment[name]) for name in ("lock", "locked") if made.environment.get(name)} | keyed
    return {"lock": lock.blob, "locked": lock.signature, **keyed} if lock else keyed


def environment_reason(run: Run, lock: Lock | None) -> Reason | None:
    """Return in what the locked packages differ from those that `run` was made with; None where they do not.

    Packages that the run had loaded come first and are named; where the old file is not here, only that it differs.
    """
    recorded = run.environment.get("lock")
    if lock is None or not recorded or recorded == lock.blob:
        return None
    before = _signature_of(run, lock)
    if before == lock.signature:
        return None
    old = lock.old(str(recorded))
    short = str(before or recorded)[:8], lock.signature[:8]
    if old is None:
        note = f"since run {run.id[:8]}; what it was then is not in this clone"
        return Reason("environment.changed", "environment", *short, Place(lock.path, 1, 1), note)
    loaded = {normal(item.partition("==")[0]) for item in run.environment.get("distributions", ())}
    changed = sorted(_differences(packages(old), lock.packages), key=lambda item: (item[0] not in loaded, item[0]))
    named = tuple(words for name, words, _ in changed if name in loaded)
    line = next((line for _, _, line in changed if line), 1)
    count = f"{len(changed)} package{'s' * (len(changed) != 1)} since run {run.id[:8]}"
    unused = len(changed) - len(named)
    loads = "" if not unused else f", {unused} of which it did not load" if named else ", none of which it loaded"
    return Reason("environment.changed", "environment", *short, Place(lock.path, line, 1), count + loads, named)


def _differences(
    before: Mapping[str, tuple[str, int]], now: Mapping[str, tuple[str, int]]
) -> Iterator[tuple[str, str, int]]:
    for name in sorted({*before, *now}):
        old, (new, line) = before.get(name, ("", 0))[0], now.get(name, ("", 0))
        if old != new:
            yield name, f"{name} {old or 'nothing'} → {new or 'nothing'}", line


def _signature_of(run: Run, lock: Lock) -> str | None:
    """Return the signature of what was locked when `run` was made; None where nothing is known of it."""
    known = run.environment.get("locked")
    if known:
        return str(known)
    recorded = run.environment.get("lock")
    if not recorded:
        return None
    old = lock.data if recorded == lock.blob else lock.old(str(recorded))
    return signature(old) if old is not None else None
