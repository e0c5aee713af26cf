"""What must hold of any ledger, however its writers raced or died."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from custody.core.fold import decode_stages, fold
from custody.ledger.ledger import GitLedger
from tests.unit.git.repositories import git
from tests.unit.ledger.material import open_ledger


def check_ledger(path: Path, acknowledged: Iterable[str], targets: Iterable[str] = ()) -> GitLedger:
    """Nothing acknowledged is missing, nothing is there twice, the tree is the fold, Git finds no fault."""
    for file in (path / ".git/custody").glob("index.db*"):
        file.unlink()
    ledger = open_ledger(path)
    entries = list(ledger.entries())
    recorded = [entry.id for entry in entries]
    assert not set(acknowledged) - set(recorded)
    assert len(set(recorded)) == len(recorded)
    files: dict[str, bytes] = {}
    for entry in reversed(entries):
        record = ledger.record(entry.commit)
        assert record is not None
        files.update(fold(files.get, record))
        if record.model:
            derived = f"models/{record.model}/stages.json"
            assert git(path, "show", f"{entry.commit}:{derived}").encode() == files[derived]
    for model in ledger.state().models.values():
        assert model.records == sum(entry.trailer("Model") == model.name for entry in entries)
        assert decode_stages(model.name, files[f"models/{model.name}/stages.json"]).versions == model.versions
    ledger.rebuild_notes()
    for target in targets:
        lines = git(path, "notes", "--ref=mlops", "show", target).split()
        assert sorted(lines) == sorted(str(entry.trailer("Run")) for entry in entries if entry.kind == "run")
    assert "error" not in git(path, "fsck", "--full", "--strict", "--no-dangling")
    return ledger
