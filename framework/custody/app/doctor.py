"""Doctor: whether all that custody needs of this machine, this clone and its remote is there, and what to do if not."""

from __future__ import annotations

import platform
import re
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from importlib import metadata

from custody.app.project import Project
from custody.app.store import usage
from custody.errors import CustodyError
from custody.git.contents import BRANCH, SIZE_LIMIT
from custody.git.diagnosis import git_version, kind_of, left_locks, protection_of, reach, setting
from custody.git.identity import find_identity
from custody.git.refs import read_ref
from custody.git.settings import NOTES_REF, missing_settings, set_reading
from custody.ledger.intents import Intents
from custody.ledger.outbox import Outbox

_GIT = (2, 30)
_FREE = 2**30
_SKEW = timedelta(minutes=5)
_NAMED = 5
_PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)\s*(;)?")
PROTECT = "https://docs.github.com/repositories/configuring-branches-and-merges-in-your-repository"
"""Where a host says how branches are protected."""


class Standing(StrEnum):
    """How a check came out; what cannot be told, or is only worth knowing, is `note`."""

    OK = "ok"
    NOTE = "note"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One check in one line, and what to do where it failed."""

    name: str
    standing: Standing
    text: str
    help: str = ""

    def to_dict(self) -> dict[str, str | None]:
        return {"name": self.name, "standing": str(self.standing), "text": self.text, "help": self.help or None}


def doctor(project: Project, *, fix: bool = False) -> tuple[Check, ...]:
    """Make all checks; with `fix` the clone's own settings that are missing are set first. Changes nothing else."""
    if fix:
        set_reading(project.worktree.repository, project.config.ledger)
    return tuple(_checks(project))


def _checks(project: Project) -> Iterator[Check]:
    rows: tuple[tuple[str, Callable[[Project], Iterator[Check]]], ...] = (
        ("git", _git),
        ("python", _python),
        ("identity", _identity),
        ("repository", _repository),
        ("ledger", _ledger),
        ("notes", _notes),
        ("store", _store),
        ("remote", _remote),
        ("protection", _protection),
        ("clock", _clock),
        ("disk", _disk),
        ("lock file", _lock),
        ("left over", _left_over),
        ("alerts", _alerts),
        ("fsync", _fsync),
    )
    for name, check in rows:
        try:
            yield from check(project)
        except CustodyError as error:
            yield Check(name, Standing.FAIL, error.message, error.help[0] if error.help else "")


def _git(_project: Project) -> Iterator[Check]:
    version = git_version()
    shown = ".".join(map(str, version or ()))
    if version is None:
        yield Check("git", Standing.FAIL, "there is no git command", "install Git 2.30 or newer")
    elif version < _GIT:
        yield Check("git", Standing.FAIL, f"Git {shown} is too old", "install Git 2.30 or newer")
    else:
        yield Check("git", Standing.OK, f"Git {shown}")


def _python(_project: Project) -> Iterator[Check]:
    yield Check("python", Standing.OK, f"Python {platform.python_version()} on {sys.platform}-{platform.machine()}")


def _identity(project: Project) -> Iterator[Check]:
    identity = find_identity(project.worktree.repository)
    if identity.configured:
        yield Check("identity", Standing.OK, identity.actor)
        return
    remedy = 'git config user.name "Your Name" && git config user.email you@example.org'
    yield Check("identity", Standing.FAIL, f"records would name {identity.actor}", remedy)


def _repository(project: Project) -> Iterator[Check]:
    kind = kind_of(project.worktree.repository, project.config.remote)
    branch = project.worktree.branch()
    where = f"on {branch}" if branch else "HEAD is detached"
    text = f"{', '.join(kind) or 'a whole clone'}, {where}; apply serves {project.config.branch}"
    remedy = "git fetch --unshallow" if "shallow" in kind else ""
    yield Check("repository", Standing.NOTE if kind else Standing.OK, text, remedy)


def _ledger(project: Project) -> Iterator[Check]:
    ledger, name, remote = project.ledger, project.config.ledger, project.config.remote
    head = ledger.head()
    if head is None and remote:
        yield Check("ledger", Standing.FAIL, f"{name} is shared through {remote} and not here", "custody sync")
    elif head is None:
        yield Check("ledger", Standing.NOTE, "nothing is recorded yet", "custody apply")
    elif pending := ledger.pending():
        yield Check("ledger", Standing.FAIL, f"{len(pending)} records are in this clone alone", "custody sync")
    else:
        yield Check("ledger", Standing.OK, f"{name} at {head[:7]}{'' if remote else ', in this clone alone'}")


def _notes(project: Project) -> Iterator[Check]:
    repository = project.worktree.repository
    here = read_ref(repository, NOTES_REF)
    if here is None and project.ledger.head() is not None:
        remote = project.config.remote
        remedy = f"git fetch {remote} {NOTES_REF}:{NOTES_REF}" if remote else "custody apply"
        yield Check("notes", Standing.NOTE, "there are none here; they are a convenience, not the record", remedy)
    else:
        yield Check("notes", Standing.OK, f"{NOTES_REF} at {here[:7]}" if here else "none yet")
    missing = missing_settings(repository, project.config.ledger)
    if missing:
        yield Check("reading", Standing.FAIL, f"not set in this clone: {', '.join(missing)}", "custody doctor --fix")
    else:
        yield Check("reading", Standing.OK, "git mlog, git mshow and notes in git log are set")


def _store(project: Project) -> Iterator[Check]:
    """The branch of small content. What is only here is classified, too large, or of a run that was not shared."""
    if project.config.remote is None:
        return
    used = usage(project)
    local = f"; in this clone alone: {used.local}" if used.local else ""
    if used.branch is None:
        text = f"{BRANCH} was not fetched, or {project.config.remote} has none{local}"
        yield Check("store", Standing.NOTE, text, "custody sync")
        return
    size = f"{used.branch.size / 1e6:,.1f} of {SIZE_LIMIT / 1e6:,.0f} MB in {used.branch.objects} objects"
    unread = f" ({used.unknown} not fetched, of unknown size)" if used.unknown else ""
    full = used.branch.size > SIZE_LIMIT
    remedy = "custody store gc --dry-run" if full else ""
    yield Check("store", Standing.FAIL if full else Standing.OK, f"{BRANCH}: {size}{unread}{local}", remedy)


def _remote(project: Project) -> Iterator[Check]:
    remote = project.config.remote
    if remote is None:
        text = "none is named in .mlops/config.yaml: nothing is shared"
        yield Check("remote", Standing.NOTE, text, "custody init --ci github, or write `remote: origin` there")
        return
    why = reach(project.worktree.repository, remote)
    if why:
        yield Check("remote", Standing.FAIL, f"{remote} is not reached: {why}", f"git ls-remote {remote}")
    else:
        yield Check("remote", Standing.OK, f"{remote} answers")


def _protection(project: Project) -> Iterator[Check]:
    remote = project.config.remote
    if remote is None:
        return
    found = protection_of(project.worktree.repository, remote)
    if found is None:
        yield Check("protection", Standing.NOTE, f"cannot be told from here: protect mlops/* on {remote}", PROTECT)
        return
    file = found.config
    lacking = {"denyNonFastForwards": found.rewrites, "denyDeletes": found.deletions}
    missing = [name for name, there in lacking.items() if not there]
    if missing:
        remedy = " && ".join(f"git config --file {file} receive.{name} true" for name in missing)
        yield Check("protection", Standing.FAIL, f"{remote} lets anybody rewrite or delete the ledger", remedy)
    else:
        yield Check("protection", Standing.OK, f"{remote} refuses to rewrite or delete branches")


def _clock(project: Project) -> Iterator[Check]:
    last = next(iter(project.ledger.entries(limit=1)), None)
    now = project.clock()
    if last and datetime.fromisoformat(last.at) - now > _SKEW:
        text = f"this clock says {project.now()}, and the last record was made at {last.at}"
        yield Check("clock", Standing.FAIL, text, "timedatectl status")
    else:
        yield Check("clock", Standing.OK, f"{project.now()}, not before the last record")


def _disk(project: Project) -> Iterator[Check]:
    free = min(shutil.disk_usage(path).free for path in (project.root, project.worktree.common_dir))
    standing = Standing.OK if free >= _FREE else Standing.FAIL
    remedy = "" if free >= _FREE else "du -sh .mlops/store .git"
    yield Check("disk", standing, f"{free / 2**30:.1f} GiB free", remedy)


def _lock(project: Project) -> Iterator[Check]:
    name = project.config.lock
    data = project.worktree.reader(None)(name) if name else None
    if name is None:
        yield Check(
            "lock file", Standing.NOTE, "none is named in .mlops/config.yaml", "write `lock: requirements.lock`"
        )
        return
    if data is None:
        yield Check("lock file", Standing.FAIL, f"there is no {name}", "python -m pip freeze > requirements.lock")
        return
    wrong = list(_differences(name, data.decode("utf-8", "replace")))
    if wrong:
        named = ", ".join(wrong[:_NAMED]) + (f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else "")
        remedy = "uv sync" if name.endswith("uv.lock") else f"python -m pip install -r {name}"
        yield Check("lock file", Standing.FAIL, f"the environment is not that of {name}: {named}", remedy)
    else:
        yield Check("lock file", Standing.OK, f"the environment is that of {name}")


def _differences(name: str, text: str) -> Iterator[str]:
    """Yield each distribution whose installed version is another one.

    One that a marker may leave out may be absent, and one that is pinned for several platforms may be any of them.
    """
    pinned: dict[str, tuple[set[str], bool]] = {}
    for distribution, version, marked in _pins(name, text):
        versions, before = pinned.get(distribution, (set(), False))
        pinned[distribution] = {*versions, version}, marked or before
    for distribution, (versions, optional) in pinned.items():
        try:
            installed = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            if not optional:
                yield f"{distribution} is not installed"
            continue
        if installed not in versions:
            yield f"{distribution} {installed}, not {' or '.join(sorted(versions))}"


def _pins(name: str, text: str) -> Iterator[tuple[str, str, bool]]:
    if not name.endswith("uv.lock"):
        for line in text.splitlines():
            if found := _PIN.match(line.strip()):
                yield found[1], found[2], bool(found[3])
        return
    try:
        packages = tomllib.loads(text).get("package", [])
    except tomllib.TOMLDecodeError:
        return
    for package in packages:
        if "registry" in package.get("source", {}):
            yield str(package.get("name")), str(package.get("version")), True


def _left_over(project: Project) -> Iterator[Check]:
    locks = left_locks(project.worktree.repository)
    dead = Intents(project.worktree.common_dir).abandoned()
    if locks:
        named = " ".join(str(path) for path in locks[:_NAMED])
        yield Check("left over", Standing.FAIL, f"lock files of Git that a dead process left: {named}", f"rm {named}")
    if dead:
        text = f"{len(dead)} runs died without a record; the next apply records them"
        yield Check("left over", Standing.NOTE, text, "custody apply")
    if not locks and not dead:
        yield Check("left over", Standing.OK, "no lock and no unfinished run was left behind")


def _alerts(project: Project) -> Iterator[Check]:
    messages = Outbox(project.worktree.common_dir).all()
    dead = [item for item in messages if item.dead]
    waiting = [item for item in messages if item.waiting]
    late = [item for item in waiting if item.attempts]
    if dead:
        text = f"{_messages(dead)} given up, the last one through {dead[-1].channel}: {dead[-1].dead}"
        yield Check("alerts", Standing.FAIL, text, "custody incident deliver --again")
    if late:
        text = f"{_messages(late)} not arrived yet, the first one through {late[0].channel}: {late[0].error}"
        yield Check("alerts", Standing.FAIL, text, "custody incident deliver")
    elif waiting:
        yield Check("alerts", Standing.NOTE, f"{_messages(waiting)} not sent yet", "custody incident deliver")
    elif not dead and messages:
        yield Check("alerts", Standing.OK, f"{_messages(messages)} sent, all have arrived")
    elif not dead and project.config.channels:
        yield Check("alerts", Standing.OK, "no message waits")


def _messages(items: Sequence[object]) -> str:
    return f"{len(items)} message{'' if len(items) == 1 else 's'}"


def _fsync(project: Project) -> Iterator[Check]:
    told = setting(project.worktree.repository, "core.fsync")
    text = f"custody syncs its own records; git's own objects: core.fsync={told or 'default'}"
    yield Check("fsync", Standing.OK, text)
