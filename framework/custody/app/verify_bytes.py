"""What records name of the content store, hashed again; and with the time for it, tables read and digested anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from custody.app.adopt import says
from custody.app.project import Project
from custody.core.audit import fault
from custody.core.merkle import root
from custody.core.sharing import objects_of
from custody.domain.audit import Fault, Looked
from custody.domain.batch import Batch
from custody.domain.record import Entry, Run
from custody.errors import CustodyError

_FACTS = ("metrics", "n", "slices")


@dataclass(frozen=True, slots=True)
class _Named:
    """An object that a record names: what it is, and what it must hold: an evaluation, a table of data, a batch."""

    entry: Entry
    what: str
    facts: Mapping[str, Any] | None = None
    version: Mapping[str, Any] | None = None
    batch: Batch | None = None


class Bytes:
    """Gathers the objects that records name, each once, and looks at those that are here."""

    def __init__(self, project: Project, *, scoped: bool) -> None:
        """`scoped`: of datasets only the versions that the gathered runs read."""
        self._project = project
        self._scoped = scoped
        self._versions: dict[str, Looked] = {}
        self._store = project.store.files
        self._named: dict[str, _Named] = {}
        self.counts = {"objects": 0, "bytes": 0, "tables": 0}
        self.absent: list[str] = []

    def gather(self, looked: Looked) -> None:
        """Take the objects of one record."""
        entry = looked.entry
        if entry is None:
            return
        if looked.version is not None:
            label = f"{looked.version.get('dataset')}@{looked.version.get('version')}"
            self._versions[label] = looked
            if not self._scoped:
                self._of_version(label)
        if looked.batch is not None:
            what = f"{looked.batch.model} predictions {looked.batch.id}"
            self._named[looked.batch.content] = _Named(entry, what, batch=looked.batch)
        if looked.run is not None:
            self._of_run(entry, looked.run)
            self._of_version(f"{looked.run.data.get('dataset')}@{looked.run.data.get('version')}")

    def _of_version(self, label: str) -> None:
        looked = self._versions.pop(label, None)
        if looked is None or looked.entry is None:
            return
        for item in _files(looked.version):
            self._named[str(item.get("sha256"))] = _Named(
                looked.entry, f"{label} {item.get('path')}", version=looked.version
            )

    def faults(self, progress: Callable[[str, int, int], None], *, full: bool) -> Iterator[Fault]:
        """Yield objects whose bytes are not what their name says, or not what the record says they hold."""
        if full:
            self._project.store.bring(self._named)
        for number, (digest, named) in enumerate(self._named.items()):
            if not self._store.has(digest):
                self.absent.append(f"{named.what} sha256:{digest}")
                continue
            progress("stored objects", number, len(self._named))
            wrong = self._damage(digest, named)
            if wrong is None:
                yield from self._contents(digest, named, full=full)
            else:
                yield wrong

    def _of_run(self, entry: Entry, run: Run) -> None:
        evaluate = run.steps.get("evaluate")
        output = evaluate.output if evaluate and evaluate.usable else None
        for digest in objects_of(run):
            if digest in self._named:
                continue
            words = "artifact" if digest == run.artifact else "object"
            facts = output.facts if output and digest == output.ref.object else None
            self._named[str(digest)] = _Named(entry, f"{run.model} run {run.id[:8]} {words}", facts)

    def _damage(self, digest: str, named: _Named) -> Fault | None:
        try:
            found, path = self._store.digest_of(digest), self._store.path(digest)
            self.counts["objects"] += 1
            self.counts["bytes"] += path.stat().st_size
        except (CustodyError, OSError) as error:
            return fault(named.entry, "bytes.unreadable", f"{named.what} sha256:{digest}", str(error))
        if found == digest:
            return None
        help_ = f"rm -f {path}   (then custody apply fetches or makes it anew)"
        return fault(named.entry, "bytes.damaged", f"{named.what} sha256:{digest}", f"sha256:{found}", help_)

    def _contents(self, digest: str, named: _Named, *, full: bool) -> Iterator[Fault]:
        try:
            facts = {name: named.facts[name] for name in _FACTS if name in named.facts} if named.facts else None
            if facts is not None and not says(self._store.get(digest), facts):
                expected = f"{named.what}: the evaluation that run.json tells of"
                yield fault(named.entry, "bytes.evaluation", expected, f"another one in sha256:{digest}")
            if full and named.version is not None:
                yield from self._table(digest, named, named.version)
            if named.batch is not None:
                yield from self._rows(digest, named, named.batch)
        except (CustodyError, OSError) as error:
            yield fault(named.entry, "bytes.unreadable", named.what, str(error))

    def _table(self, digest: str, named: _Named, version: Mapping[str, Any]) -> Iterator[Fault]:
        from custody.content.logical import logical_digest
        from custody.content.tables import read_table

        table = read_table(self._store.get(digest))
        self.counts["tables"] += 1
        found = logical_digest(table)
        if found != version.get("logical"):
            yield fault(named.entry, "bytes.logical", f"{named.what} logical {version.get('logical')}", found)

    def _rows(self, digest: str, named: _Named, batch: Batch) -> Iterator[Fault]:
        from custody.content.tables import read_table
        from custody.kit.predictions import leaves_of

        leaves = leaves_of(read_table(self._store.get(digest)))
        if (len(leaves), root(leaves)) != (batch.rows, batch.root):
            expected = f"{named.what} {batch.rows:,} rows, root {batch.root}"
            yield fault(named.entry, "batch.root", expected, f"{len(leaves):,} rows, root {root(leaves)}")


def _files(version: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    files = version.get("files") if version else None
    if isinstance(files, list):
        yield from (item for item in files if isinstance(item, dict))
