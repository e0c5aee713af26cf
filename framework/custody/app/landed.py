"""Landed: what the branch that `apply` serves says of datasets, so that a change to come cannot open them by itself.

The branch is the configured one; a change may edit the configuration too, so the remote's default branch and the one
that a CI job's request goes to count beside it. Where none of them has the dataset, the ledger's records do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from custody.app.project import Project
from custody.core.sharing import Landed, files_of, strictest
from custody.git.branches import branch_heads
from custody.git.refs import read_ref
from custody.spec.config import CONFIG, load_config
from custody.spec.load import load_dataset

UNREADABLE = "of no readable classification"


@dataclass(slots=True)
class LandedSpecs:
    """Reads what has landed; remembers what it read of a commit."""

    project: Project
    _read: dict[tuple[str, str], str | None] = field(default_factory=dict)

    def __call__(self) -> Landed:
        """Return what has landed now, of all datasets that are recorded or declared there.

        Raises LedgerError where the ledger cannot be read.
        """
        records = self.project.ledger.state().datasets
        versions: dict[str, set[str]] = {}
        for label, record in records.items():
            for digest in files_of(record):
                versions.setdefault(digest, set()).add(label)
        # a commit that several branches are at goes by the name of the first
        branches = dict(reversed(list(self._branches())))
        names = {label.partition("@")[0] for label in records}
        names |= {name for commit in branches for name in self._declared(commit)}
        classes = {name: self._class(name, branches, records) for name in sorted(names)}
        named = {digest: frozenset(labels) for digest, labels in versions.items()}
        return Landed(classes, named, "" if branches else f"{self.project.config.branch} is not in this clone")

    def _branches(self) -> Iterator[tuple[str, str]]:
        """Yield (commit, name) of the branches that count, each as the remote has it, else as it is here."""
        config, repository = self.project.config, self.project.worktree.repository
        for name in dict.fromkeys(filter(None, (config.branch, self.project.job.target))):
            heads = branch_heads(repository, name, config.remote)
            tracked = [ref for ref in heads if ref.startswith("refs/remotes/")]
            if heads:
                yield heads[(tracked or list(heads))[0]], name
        if usual := read_ref(repository, f"refs/remotes/{config.remote}/HEAD"):
            yield usual, f"{config.remote}/HEAD"

    def _class(
        self, dataset: str, branches: Mapping[str, str], records: Mapping[str, Mapping[str, object]]
    ) -> tuple[str, str]:
        """Return the strictest classification that a branch has for the dataset, else the ledger, and which."""
        said = {commit: found for commit in branches if (found := self._declares(commit, dataset))}
        if said:
            worst = strictest(said.values())
            return worst, f"on {next(branches[commit] for commit, found in said.items() if found == worst)}"
        own = [record for label, record in records.items() if label.partition("@")[0] == dataset]
        return strictest(str(record.get("classification") or UNREADABLE) for record in own), "in the ledger"

    def _declared(self, commit: str) -> set[str]:
        root = self._root(commit)
        paths = self.project.worktree.files(commit, root) if root else ()
        inside = (path.removeprefix(f"{root}/").split("/") for path in paths)
        return {parts[0] for parts in inside if parts[1:] == ["dataset.yaml"]}

    def _declares(self, commit: str, dataset: str) -> str | None:
        """Return the classification that `dataset.yaml` of a commit has; None where there is no such file."""
        root = self._root(commit)
        if root is None:
            return None
        key = commit, f"{root}/{dataset}"
        if key not in self._read:
            read = self.project.worktree.reader(commit)
            there = read(f"{key[1]}/dataset.yaml") is not None
            found = load_dataset(read, key[1])[0] if there else None
            self._read[key] = (found.classification if found else UNREADABLE) if there else None
        return self._read[key]

    def _root(self, commit: str) -> str | None:
        """Return the folder of datasets at a commit; None where there is no project there."""
        key = commit, CONFIG
        if key not in self._read:
            read = self.project.worktree.reader(commit)
            found = load_config(read)[0] if read(CONFIG) is not None else None
            self._read[key] = found.datasets if found else None
        return self._read[key]
