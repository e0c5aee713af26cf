"""What only the git binary does well: fetch, push, packing. The one home of GitPython, imported when it is needed.

The binary brings credentials, proxies and hooks, which libgit2 never starts by itself. Each transport runs in a session
of its own, so that Ctrl-C in a terminal lets one that is under way end.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from custody.errors import GitError
from custody.git.objects import Repository

LOOSE_LIMIT = 6700
"""Loose objects from which Git itself packs (`gc.auto`); far more make clones and fetches slow."""
PATIENCE = 300.0
"""Seconds that one fetch or push may take."""
_SAMPLE = "17"
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_QUIET = {"LC_ALL": "C", "LANGUAGE": "C", "GIT_TERMINAL_PROMPT": "0"}
_MOVED = (
    "fetch first",
    "non-fast-forward",
    "stale info",
    "needs force",
    "remote ref updated since checkout",
)
_ECHO = "atomic "


class Fate(StrEnum):
    """What became of a push, by what the caller does next."""

    LANDED = "landed"
    PARTLY = "partly landed"
    RACE = "race"
    REFUSED = "refused"
    SERVER_LOCK = "server lock"
    NO_ATOMIC = "no atomic"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class RefAnswer:
    """The server's answer for one ref: the flag of `git push --porcelain`, the status and the reason in brackets."""

    flag: str
    status: str
    reason: str

    @property
    def accepted(self) -> bool:
        return self.flag in {" ", "+", "*", "="}

    @property
    def echo(self) -> bool:
        """Whether it only says that another ref of the same atomic push was rejected."""
        return self.reason.startswith(_ECHO)


@dataclass(frozen=True, slots=True)
class Pushed:
    """The answer to a push, by full name of the ref; `text` is what git and the host said, without credentials."""

    refs: Mapping[str, RefAnswer]
    code: int
    text: str

    @property
    def culprits(self) -> tuple[str, ...]:
        """The refs that were rejected for a reason of their own."""
        return tuple(ref for ref, answer in self.refs.items() if not answer.accepted and not answer.echo)

    def accepted(self, ref: str) -> bool:
        """Whether this ref is now on the server as it was pushed."""
        answer = self.refs.get(ref)
        return answer is not None and answer.accepted


@dataclass(frozen=True, slots=True)
class FetchAnswer:
    """What became of a fetch: `absent` where the server lacks a ref that was asked for by its exact name.

    `rewritten` names refs that the server has and that do not stand on what is known here.
    """

    ok: bool
    text: str
    absent: bool = False
    rewritten: bool = False


def fate_of(pushed: Pushed, ledger: str) -> Fate:
    """Return what became of a push whose most important ref is `ledger`. The exit code alone decides nothing.

    1. The ledger was accepted: the records have landed, whatever else was not.
    2. No answer for any ref, or it broke off: the server was not reached, refuses us, or knows no atomic pushes.
    3. A ref was rejected for a reason of its own: that reason decides.
    4. Only echoes: what stands on stderr tells a race from a lock that somebody left on the server.
    """
    if pushed.accepted(ledger):
        return Fate.LANDED if all(answer.accepted for answer in pushed.refs.values()) else Fate.PARTLY
    if not pushed.refs or any(answer.status == "remote failure" for answer in pushed.refs.values()):
        return Fate.NO_ATOMIC if "does not support --atomic" in pushed.text else Fate.OFFLINE
    own = [pushed.refs[ref] for ref in pushed.culprits]
    if own and all(_race(answer) for answer in own):
        return Fate.RACE
    if any(not _locked(answer) for answer in own):
        return Fate.REFUSED
    if "File exists" in pushed.text and "Unable to create" in pushed.text:
        return Fate.SERVER_LOCK
    moved = ("cannot lock ref", "reference already exists", "incorrect old value")
    return Fate.RACE if any(words in pushed.text for words in moved) else Fate.REFUSED


def _race(answer: RefAnswer) -> bool:
    """Whether git itself held the ref back because somebody was faster; the server's own words are no race."""
    if answer.status == "remote rejected":
        return answer.reason.startswith(("incorrect old value", "reference already exists"))
    return answer.reason in _MOVED


def _locked(answer: RefAnswer) -> bool:
    return answer.status == "remote rejected" and answer.reason.startswith(("failed to update ref", "failed to lock"))


def push(repository: Repository, remote: str, refs: Mapping[str, str], *, atomic: bool = True) -> Pushed:
    """Push commits by id, ref to id, all or nothing where `atomic`; never by force. Returns the parsed answer.

    Raises GitError where there is no git binary.
    """
    options = ["--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no"]
    specs = [f"{commit}:{ref}" for ref, commit in refs.items()]
    done = _git(repository, ["push", *(["--atomic"] if atomic else []), *options, remote, *specs])
    return Pushed(parse_push(done.out), done.code, clean_text(done.err))


def parse_push(text: str) -> dict[str, RefAnswer]:
    """Return the answers that `git push --porcelain` printed, by full name of the ref."""
    answers = {}
    for line in text.split("\n"):
        parts = line.split("\t")
        if len(parts) != 3 or len(parts[0]) != 1 or ":" not in parts[1]:  # noqa: PLR2004
            continue
        match = re.fullmatch(r"\[([^\]]*)\](?: \((.*)\))?", parts[2])
        status, reason = (match[1], match[2] or "") if match else (parts[2], "")
        answers[parts[1].partition(":")[2]] = RefAnswer(parts[0], status, reason)
    return answers


def fetch(
    repository: Repository, remote: str, refspecs: Sequence[str], *, first: bool = False, patience: float = PATIENCE
) -> FetchAnswer:
    """Fetch these refspecs and nothing else. `first`: only the newest commits, and their files when they are read.

    A clone that was fetched so is never fetched with a depth again: that would cut its history between.
    Raises GitError where there is no git binary.
    """
    few = ["--depth=1", "--filter=blob:none"] if first else []
    command = ["fetch", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", *few, remote, *refspecs]
    done = _git(repository, command, patience=patience)
    text = clean_text(done.err)
    absent = "couldn't find remote ref" in text
    rewritten = bool(re.search(r"^ ! \[rejected\] .*\(non-fast-forward\)", text, re.MULTILINE))
    return FetchAnswer(done.code == 0, text, absent, rewritten)


def fetch_objects(repository: Repository, remote: str, ids: Iterable[str]) -> bool:
    """Bring the objects that a partial clone lacks, in one batch; whether all is here now."""
    missing = [item for item in ids if not repository.has(item)]
    if not missing:
        return True
    options = ["--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--filter=blob:none", "--stdin"]
    command = ["-c", "fetch.negotiationAlgorithm=noop", "fetch", *options, remote]
    done = _git(repository, command, stdin="".join(f"{item}\n" for item in missing))
    return done.code == 0


def deepen(repository: Repository, remote: str, refspec: str) -> bool:
    """Bring the whole history of one ref, into a shallow clone too; its files when they are read. Whether it came."""
    few = ["--filter=blob:none"] if promises(repository, remote) else []
    few += ["--unshallow"] if repository.shallow_boundary else []
    options = ["--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", *few]
    return _git(repository, ["fetch", *options, remote, refspec]).code == 0


def promises(repository: Repository, remote: str) -> bool:
    """Whether this clone left out objects that the remote promised to give later."""
    try:
        return bool(repository.raw.config.get_bool(f"remote.{remote}.promisor"))
    except (KeyError, ValueError):
        return False


def remote_url(repository: Repository, remote: str) -> str | None:
    """Return where the remote is, without credentials; None where no remote has this name."""
    try:
        return clean_text(str(repository.raw.remotes[remote].url))
    except (KeyError, ValueError):
        return None


def remote_path(repository: Repository, remote: str) -> Path | None:
    """Return the folder of a remote that is a path on this machine; None for all others."""
    url = remote_url(repository, remote)
    if url is None or ("://" in url and not url.startswith("file://")):
        return None
    path = Path(url.removeprefix("file://"))
    path = path if path.is_absolute() else Path(repository.raw.workdir or repository.git_dir) / path
    return next((found for found in (path / ".git", path) if (found / "objects").is_dir()), None)


def clean_text(text: str) -> str:
    """Return what git said without user names and passwords of URLs."""
    return _CREDENTIALS.sub("", text).strip()


def loose_objects(repository: Repository) -> int:
    """Estimate how many loose objects there are, from one of the 256 folders, as Git does."""
    try:
        return sum(1 for _ in (repository.common_dir / "objects" / _SAMPLE).iterdir()) * 256
    except OSError:
        return 0


def maintain(repository: Repository, limit: int = LOOSE_LIMIT) -> bool:
    """Have Git pack the repository in the background where there are many loose objects; whether it was asked.

    Git itself detaches and decides (`gc.auto`, `gc.autoDetach`). A failure is of no consequence and not told.
    """
    if loose_objects(repository) <= limit:
        return False
    try:
        import git
    except ImportError:  # GitPython finds no git binary
        return False
    try:
        git.Git(str(repository.common_dir)).execute(["git", "gc", "--auto", "--quiet"])
    except (git.GitCommandError, git.GitCommandNotFound, OSError):
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Done:
    code: int
    out: str
    err: str


def _git(repository: Repository, arguments: Sequence[str], *, stdin: str = "", patience: float = PATIENCE) -> _Done:
    """Run git in the repository, in a session of its own. Raises GitError where there is no git binary."""
    try:
        import git
    except ImportError as error:
        raise GitError(
            "sharing needs the git command, and there is none on the PATH", help=("git --version",)
        ) from error
    # the index of the user's working tree and its hooks' variables are none of our business
    command = ["git", "-c", "push.gpgSign=false", *arguments]
    with tempfile.TemporaryFile() as given:
        given.write(stdin.encode())
        given.seek(0)
        try:
            process: Any = git.Git(str(_where(repository))).execute(
                command, istream=given, as_process=True, env=_QUIET, start_new_session=True
            )
        except (git.GitCommandNotFound, OSError) as error:
            raise GitError("git cannot be started", help=("git --version",)) from error
        try:
            out, err = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            process.terminate()
            out, err = process.communicate()
            err += f"\nfatal: no answer for {patience:.0f} s\n".encode()
    return _Done(int(process.returncode), out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))


def _where(repository: Repository) -> Path:
    """Return where git is started: relative paths of remotes are meant from the top of the working tree."""
    return Path(repository.raw.workdir) if repository.raw.workdir else repository.git_dir
