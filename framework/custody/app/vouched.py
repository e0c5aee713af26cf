"""Recognise models by what their records say that they were planned from: a fresh clone remembers nothing yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property

from custody.app.reading import base_of, sources
from custody.core.basis import Basis, elsewhere
from custody.core.recognition import DatasetFinding, Here, ModelFinding, Standing
from custody.domain.record import ModelState, State
from custody.domain.spec import Config
from custody.errors import LedgerError
from custody.git.identities import Identities


class Vouched:
    """What the records of models say, held against what is there now. `datasets` are those that it was found for."""

    def __init__(self, config: Config, ids: Identities, here: Here, state: State) -> None:
        self._config = config
        self._ids = ids
        self._here = here
        self._state = state
        self.datasets: dict[str, DatasetFinding] = {}

    def models(self, names: Iterable[str], datasets: Mapping[str, DatasetFinding]) -> dict[str, ModelFinding]:
        """Return findings for those of `names` for which nothing is to be done; `datasets` are recognised already."""
        found = {}
        for name in names:
            ledger, folder = self._here.models.get(name), f"{self._config.models}/{name}"
            own = self._ids.folder(folder) if ledger else None
            state = self._model(name) if own is not None else None
            if own is None or ledger is None or state is None:
                continue
            if state.retired and not own:
                found[name] = ModelFinding(Standing.RETIRED, own, ledger)
            elif finding := self._unchanged(state, ModelFinding(Standing.UNCHANGED, own, ledger), datasets):
                found[name] = finding
        return found

    def _model(self, name: str) -> ModelState | None:
        try:
            return self._state.models[name]
        except LedgerError:
            return None

    def _unchanged(
        self, state: ModelState, finding: ModelFinding, datasets: Mapping[str, DatasetFinding]
    ) -> ModelFinding | None:
        run = state.run
        basis = Basis.of(run) if run else None
        if run is None or basis is None or basis.own != finding.own or basis.base != self._base:
            return None
        folder = f"{self._config.models}/{state.name}"
        files = elsewhere(run, folder)
        if files is None or not basis.settles(run, state) or not self._holds(basis, datasets):
            return None
        found = replace(finding, data=basis.data, files=files, run=run.id)
        return found if self._here.holds_model(found, state.name, folder) else None

    def _holds(self, basis: Basis, datasets: Mapping[str, DatasetFinding]) -> bool:
        """Whether the dataset is as it was then: it had no errors, and nothing was to be said of it."""
        name, own, ledger = basis.data
        known = datasets.get(name) or self.datasets.get(name)
        if known is None:
            data = DatasetFinding(own, ledger)
            if not self._here.holds_dataset(data, name, f"{self._config.datasets}/{name}"):
                return False
            known = self.datasets[name] = data
        return known.is_(basis.data)

    @cached_property
    def _base(self) -> str | None:
        return base_of(self._config, self._ids, sources())
