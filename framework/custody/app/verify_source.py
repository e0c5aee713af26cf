"""What records say of the source side, held against it: source commits, own code, manifests of data, adopted trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from custody.app.adopt import COMMITTED
from custody.app.project import Project
from custody.core.audit import fault
from custody.core.basis import Basis, elsewhere
from custody.core.versions import manifest_differences
from custody.domain.audit import Fault, Looked
from custody.domain.graph import StepStatus
from custody.domain.record import Entry, Kind, Run, RunStatus
from custody.domain.spec import Manifest
from custody.errors import CustodyError
from custody.git.branches import branch_heads, reached
from custody.spec.load import load_manifest

_RAN = {Kind.RUN, Kind.VERDICT}


class Sources:
    """Gathers what records name, looking at each thing once, then tells what is wrong."""

    def __init__(self, project: Project, *, scoped: bool) -> None:
        """`scoped`: of datasets only the versions that the gathered runs read."""
        self._project = project
        self._scoped = scoped
        self._worktree = project.worktree
        self.counts = {"sources": 0, "versions": 0, "adopted": 0}
        self.remarks: list[str] = []
        self._commits: dict[str, Entry] = {}
        self._versions: dict[str, tuple[Entry, Mapping[str, Any]]] = {}
        self._used: dict[tuple[str, str, str], Entry] = {}
        self._blobs: dict[tuple[str, str], str | None] = {}
        self._manifests: dict[tuple[str, str], tuple[str, ...]] = {}
        self._found: list[Fault] = []
        self._here: dict[str, bool] = {}

    def gather(self, looked: Looked) -> None:
        """Take what one record names; what can be checked at once is."""
        entry = looked.entry
        if entry is None:
            return
        code = entry.trailer("Code")
        if code and not (self._scoped and looked.version is not None):
            self._commits.setdefault(code, entry)
        if looked.version is not None:
            self._versions[f"{looked.version.get('dataset')}@{looked.version.get('version')}"] = entry, looked.version
        if looked.run and entry.kind in {*_RAN, Kind.METADATA}:
            self._found += self._basis(entry, looked.run, str(code))
        if looked.run and entry.kind in _RAN:
            self._found += self._data(entry, looked.run)
            self._found += self._code(entry, looked.run, str(code))
            for key, trial in entry.trailers:
                if key == "Adopted":
                    self._found += self._adopted(entry, looked.run, trial)

    def faults(self) -> Iterator[Fault]:
        """Yield what was found, then what only all records together tell."""
        yield from self._found
        yield from self._off_branch()
        yield from self._edited()

    def _off_branch(self) -> Iterator[Fault]:
        """Every record names a commit of the branch that apply serves: squashed and adopted ones name that too."""
        project, branch = self._project, self._project.config.branch
        repository = self._worktree.repository
        self.counts["sources"] = len(self._commits)
        try:
            on = reached(repository, branch_heads(repository, branch, project.config.remote).values())
        except CustodyError as error:
            yield Fault("source.branch", branch, "a branch whose history can be read", error.message, "git fsck --full")
            return
        shallow = bool(repository.shallow_boundary)
        for code, entry in self._commits.items():
            if code in on:
                continue
            here = self._is_here(code)
            if not here and shallow:
                found, help_ = "it is not in this shallow clone, which cannot tell", "git fetch --unshallow"
            elif here:
                found, help_ = f"it is not on {branch}", f"git branch -a --contains {code[:12]}"
            else:
                found, help_ = "no such commit here", f"git fetch {project.config.remote or 'origin'} {branch}"
            yield fault(entry, "source.branch", f"source commit {code[:12]} on {branch}", found, help_)

    def _code(self, entry: Entry, run: Run, code: str) -> Iterator[Fault]:
        """The files that ran are those of the source commit."""
        if not run.closure or not self._is_here(code):
            return
        for path, blob in run.closure.items():
            try:
                if (code, path) not in self._blobs:
                    self._blobs[code, path] = self._worktree.blob(code, path)
                there = self._blobs[code, path]
            except (CustodyError, TypeError, AttributeError, ValueError) as error:
                yield fault(entry, "source.code", f"{path!r} at {code[:12]}", str(error))
                continue
            if there != blob:
                expected = f"{path} at {code[:12]}: {there or 'absent'}"
                help_ = f"git rev-parse {code[:12]}:{path}"
                yield fault(entry, "source.code", expected, str(blob or "absent"), help_)

    def _basis(self, entry: Entry, run: Run, code: str) -> Iterator[Fault]:
        """The specs that a plan takes as read are those of the source commit."""
        basis = Basis.from_dict(run.basis) if run.basis else None
        if basis is None or not self._is_here(code):
            return
        path = f"{self._project.config.models}/{run.model}"
        if (basis.run, basis.files) != (run.id, elsewhere(run.closure, path)) or run.status is not RunStatus.PASSED:
            yield fault(entry, "source.basis", f"run {run.id}, passed, and its code", f"run {basis.run}, or other code")
        try:
            folder = self._worktree.entry(self._worktree.tree(code), path)
        except CustodyError as error:
            yield fault(entry, "source.basis", f"{path} at {code[:12]}", str(error))
            return
        if folder is None or folder.id != basis.own:
            expected = f"{path} at {code[:12]}: {folder.id if folder else 'absent'}"
            yield fault(entry, "source.basis", expected, basis.own, f"git rev-parse {code[:12]}:{path}")

    def _data(self, entry: Entry, run: Run) -> Iterator[Fault]:
        """The data of a run are those that its version was recorded with, in Git too at its source commit."""
        name, version = str(run.data.get("dataset")), str(run.data.get("version"))
        label = f"{name}@{version}"
        fetched = run.steps.get("fetch")
        logical = run.data.get("logical")
        if fetched and fetched.output and fetched.output.ref.digest != logical:
            yield fault(entry, "data.run", f"{label} sha256:{logical}", f"{fetched.output.ref.digest} was fetched")
        if run.data and run.code:
            self._used.setdefault((label, str(logical), run.code), entry)

    def _edited(self) -> Iterator[Fault]:
        """Manifests are as recorded: at HEAD, where they were recorded, and where they were used."""
        if self._scoped:
            used = {label for label, _, _ in self._used}
            self._versions = {label: item for label, item in self._versions.items() if label in used}
        self.counts["versions"] = len(self._versions)
        for label, (entry, value) in self._versions.items():
            head = self._worktree.head()
            for revision, words in ((head, "at HEAD"), (str(entry.trailer("Code")), "where it was recorded")):
                yield from self._manifest(entry, label, value, revision, words)
        for (label, logical, code), entry in self._used.items():
            if label not in self._versions:
                continue
            value = self._versions[label][1]
            if value.get("logical") != logical:
                yield fault(entry, "data.run", f"{label} sha256:{value.get('logical')}, as recorded", logical)
            yield from self._manifest(entry, label, value, code, "where the run read it")

    def _manifest(
        self, entry: Entry, label: str, value: Mapping[str, Any], revision: str | None, words: str
    ) -> Iterator[Fault]:
        name, _, version = label.partition("@")
        path = f"{self._project.config.datasets}/{name}/versions/{version}.yaml"
        try:
            blob = self._worktree.blob(revision, path) if revision and self._is_here(revision) else None
            wrong = self._differences(label, blob, value) if blob else ()
        except CustodyError as error:
            wrong = (error.message,)
        if wrong:
            expected = f"{path} {words} as the ledger recorded it"
            help_ = f"git log --oneline -- {path}"
            yield fault(entry, "data.edited", expected, f"another {', '.join(wrong)}", help_)

    def _differences(self, label: str, blob: str, value: Mapping[str, Any]) -> tuple[str, ...]:
        if (label, blob) not in self._manifests:
            manifest = self._load(label, blob)
            wrong = manifest_differences(manifest, value) if manifest else ["shape: it is no manifest"]
            self._manifests[label, blob] = tuple(wrong)
        return self._manifests[label, blob]

    def _load(self, label: str, blob: str) -> Manifest | None:
        name, _, version = label.partition("@")
        data = self._worktree.blob_bytes(blob)
        return load_manifest(data, name, version)[0] if data is not None else None

    def _adopted(self, entry: Entry, run: Run, trial: str) -> Iterator[Fault]:
        """Results that were taken over are those that the trial recorded, of a clean commit."""
        self.counts["adopted"] += 1
        trials = self._project.trials
        try:
            if trials.head() is None:
                self.remarks.append(f"trial {trial[:8]} is not here: {self._project.config.trials} was not fetched")
                return
            found = trials.find_entry(trial)
            made = trials.run(found) if found else None
        except CustodyError as error:
            yield fault(entry, "adopted.unknown", f"trial {trial}", error.message)
            return
        if found is None or made is None or found.trailer("Trial") != COMMITTED:
            words = f"it is one of a {found.trailer('Trial')}" if found else "no such trial"
            yield fault(entry, "adopted.unknown", f"trial {trial} of a commit", words, "git log mlops/trials")
            return
        for name, step in run.steps.items():
            other = made.steps.get(name)
            taken = step.status is StepStatus.REUSED and step.source == trial
            if taken and (other is None or (other.key, other.output) != (step.key, step.output)):
                yield fault(entry, "adopted.differs", f"{name} as trial {trial} made it", "another result")

    def _is_here(self, commit: str) -> bool:
        if commit not in self._here:
            self._here[commit] = self._worktree.is_commit(commit)
        return self._here[commit]
