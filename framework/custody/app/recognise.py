"""Recognise the models that are as a former plan found them, by Git's ids alone: none of their files is read.

What is remembered lies in `.mlops/state/findings`: it may be deleted, and a damaged one counts as none. No answer hangs
on it: findings are found by the ids of all that they depended on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from custody.app.project import Project
from custody.app.reading import base_of, reader
from custody.app.vouched import Vouched
from custody.core.recognition import DatasetFinding, Findings, Here, ModelFinding
from custody.domain.record import State
from custody.git.identities import Identities, identities

FILE = "findings"


@dataclass(frozen=True, slots=True)
class Recognised:
    """The models and datasets that need not be read, out of all that there are; `strays` are files that need a word."""

    ids: Identities
    findings: Findings
    models: Mapping[str, ModelFinding]
    datasets: Mapping[str, DatasetFinding]
    others: frozenset[str]
    """Folders of models, and recorded models, that are not recognised."""
    complete: bool
    """Whether nothing else is there: the plan is that nothing is to be done."""


def recognise(project: Project, revision: str | None, state: State) -> Recognised | None:
    """Return what is recognised in a commit, or in the working tree (None). None: nothing can be."""
    ids = identities(project.worktree, revision)
    base = base_of(project.config, ids, reader()) if ids else None
    if ids is None or base is None:
        return None
    findings = load(project, base)
    config = project.config
    here = look(ids, state)
    stored = ids.children(config.datasets)
    datasets = {
        name: data
        for name in sorted(name for name, folder in stored.items() if folder)
        if (data := findings.datasets.get(name)) and here.holds_dataset(data, name, f"{config.datasets}/{name}")
    }
    folders = ids.children(config.models)
    names = {*(name for name, folder in folders.items() if folder), *state.models}
    models = {
        name: finding
        for name in sorted(names)
        if (finding := findings.models.get(name))
        and (not finding.data or ((used := datasets.get(finding.data[0])) and used.is_(finding.data)))
        and here.holds_model(finding, name, f"{config.models}/{name}")
    }
    vouched = Vouched(config, ids, here)
    if more := vouched.models(sorted(names - models.keys()), datasets):
        models, datasets = dict(sorted({**models, **more}.items())), {**vouched.datasets, **datasets}
        findings = findings.with_(more, vouched.datasets)
        save(project, findings)
    others = frozenset(names - models.keys())
    read = {name for name, folder in stored.items() if folder} - datasets.keys()
    strays = [name for listed in (folders, stored) for name, folder in listed.items() if not folder and _spec(name)]
    return Recognised(ids, findings, models, datasets, others, not (others or read or strays))


def look(ids: Identities, state: State) -> Here:
    """Return what is there now, in the revision and on the ledger."""
    return Here(ids.folder, ids.file, _trees(state.models), _trees(state.datasets))


def load(project: Project, base: str) -> Findings:
    """Return what is remembered under `base`; nothing where there is none, or it is damaged."""
    try:
        return Findings.decode((project.state_dir / FILE).read_bytes(), base)
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return Findings(base)


def save(project: Project, findings: Findings) -> None:
    """Remember the findings; that they could not be written is no failure."""
    path = project.state_dir / FILE
    aside = path.with_name(f"{FILE}.{os.getpid()}")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(findings.encode())
        aside.replace(path)


def _trees(mapping: Mapping[str, object]) -> Mapping[str, str]:
    trees: Mapping[str, str] = getattr(mapping, "trees", {})
    return trees


def _spec(name: str) -> bool:
    return name.endswith((".yaml", ".yml"))
