"""Recognise models by what their records say that they were planned from: a fresh clone remembers nothing yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from custody.app.reading import base_of, sources
from custody.core.basis import Basis
from custody.core.fold import decode_stages
from custody.core.recognition import DatasetFinding, Here, ModelFinding, Standing
from custody.domain.spec import Config
from custody.errors import GitError
from custody.git.identities import Identities
from custody.git.objects import FILE


class Vouched:
    """What the records of models say, held against what is there now. `datasets` are those that it was found for."""

    def __init__(self, config: Config, ids: Identities, here: Here) -> None:
        self._config = config
        self._ids = ids
        self._here = here
        self._repository = ids.worktree.repository
        self.datasets: dict[str, DatasetFinding] = {}

    def models(self, names: Iterable[str], datasets: Mapping[str, DatasetFinding]) -> dict[str, ModelFinding]:
        """Return findings for those of `names` for which nothing is to be done; `datasets` are recognised already."""
        found = {}
        for name in names:
            ledger, folder = self._here.models.get(name), f"{self._config.models}/{name}"
            own = self._ids.folder(folder) if ledger else None
            if own is None or ledger is None:
                continue
            finding = self._finding(name, own, ledger, datasets)
            if finding and self._here.holds_model(finding, name, folder):
                found[name] = finding
        return found

    def _finding(self, name: str, own: str, ledger: str, datasets: Mapping[str, DatasetFinding]) -> ModelFinding | None:
        try:
            files = {entry.name: entry.id for entry in self._repository.tree(ledger) if entry.mode == FILE}
            state = decode_stages(name, self._repository.blob(files["stages.json"]))
            if state.retired and not state.renamed and not own:
                return ModelFinding(Standing.RETIRED, own, ledger)
            basis = Basis.read(self._repository.blob(files["run.json"]))
        except (GitError, ValueError, KeyError):
            return None
        if basis is None or basis.own != own or basis.base != self._base:
            return None
        if not basis.settles(state) or not self._holds(basis, datasets):
            return None
        stages = tuple(basis.stages.items())
        return ModelFinding(Standing.UNCHANGED, own, ledger, basis.data, basis.files, stages, basis.run)

    def _holds(self, basis: Basis, datasets: Mapping[str, DatasetFinding]) -> bool:
        """Whether the dataset is as it was then: it had no errors, and nothing was to be said of it."""
        name, own, ledger = basis.data
        known = datasets.get(name) or self.datasets.get(name)
        if known is None:
            known = DatasetFinding(own, ledger)
            if not self._here.holds_dataset(known, name, f"{self._config.datasets}/{name}"):
                return False
            self.datasets[name] = known
        return known.is_(basis.data)

    @cached_property
    def _base(self) -> str | None:
        return base_of(self._config, self._ids, sources())
