"""Incidents: what the episodes of all models come to, given the incidents that are recorded. Pure.

One cause is one incident: while one is open for a model, whatever else fires joins it. What is judged twice changes
nothing, and two clones that judged apart agree once each knows the records of the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from custody.core.episodes import Episode, ModelWindows, episodes
from custody.core.instants import utc
from custody.core.suspects import INPUTS, ordered, stream_of, worst
from custody.digest import digest
from custody.domain.incident import Incident, IncidentState

COLUMNS = 3
"""So many columns of one dataset that turn bad in the same window are one fault of the dataset."""
MODEL, DATASET = "model", "dataset"
_FOREVER = "9999"
_ID = 12


def settle(watched: Iterable[ModelWindows], recorded: Iterable[Incident]) -> tuple[Incident, ...]:
    """Return the incidents that are to be recorded anew: those whose state, level, signals or models changed.

    `recorded` are the incidents as they stand. What is watched holds all models that the open ones touch, or those are
    left alone; a model that is watched no more has no windows. Raises ValueError where a time cannot be read.
    """
    models = {item.model: item for item in watched}
    cases, merged = _cases(recorded)
    found = [episode for item in models.values() for episode in episodes(item)]
    for episode in sorted(found, key=lambda item: (item.confirmed, item.model)):
        _join(cases, episode, models[episode.model].dataset)
    owners = {episode.model: case for case in cases for episode in case.members if episode.resolved is None}
    changed = [*merged, *(case.incident(models, owners) for case in cases if case.known <= set(models) or not case.old)]
    return tuple(sorted((item for item in changed if item), key=lambda item: item.id))


def grouped(incident: Incident) -> str | None:
    """Return the name of the dataset that an incident is about; None where it is about one model."""
    kind, _, name = incident.subject.partition(":")
    return name if kind == DATASET else None


@dataclass(slots=True)
class _Case:
    """An incident that is being gathered: as it stands, if it does, and the episodes that belong to it.

    `taken` are the models of those that end in it.
    """

    id: str
    since: str
    dataset: str
    old: Incident | None = None
    members: list[Episode] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)

    @property
    def known(self) -> set[str]:
        return {*(self.old.models if self.old else ()), *self.taken}

    @property
    def touched(self) -> set[str]:
        return self.known | {episode.model for episode in self.members}

    @property
    def left(self) -> bool:
        """Whether it is history: recorded as resolved, and none of its episodes goes on."""
        return self.old is not None and not self.old.firing and all(item.resolved for item in self.members)

    @property
    def end(self) -> str:
        """When it was over, as far as its episodes tell by now."""
        ends = [episode.resolved or _FOREVER for episode in self.members]
        if self.old is None:
            return max(ends, default=_FOREVER)
        stands = _FOREVER if self.old.firing and not ends else utc(self.old.resolved) if self.old.resolved else ""
        return max(stands, *ends) if ends else stands

    def covers(self, episode: Episode) -> bool:
        """Whether it was open when the episode was confirmed."""
        return episode.confirmed <= self.end and (episode.resolved or _FOREVER) > self.since

    def incident(self, watched: Mapping[str, ModelWindows], owners: Mapping[str, _Case]) -> Incident | None:
        """Return the incident as it is now, with its next revision; None where it stands so."""
        if self.left:
            return None
        firing = any(episode.resolved is None for episode in self.members)
        models = self.touched
        if firing:
            models = {name for name in models if owners.get(name, self) is self}
        old = self.old or self._opening()
        known = {signal.key: signal for signal in old.signals}
        starts: dict[str, str] = {}
        for episode in self.members:
            known |= {signal.key: signal for signal in episode.signals}
            starts |= {key: starts.get(key, start) for key, start in episode.starts.items()}
        newest = max((episode.last for episode in self.members), key=lambda window: utc(window.end), default=None)
        made = replace(
            old,
            subject=_subject(old, models, self.members, watched),
            models=tuple(sorted(models)),
            state=IncidentState.FIRING if firing else IncidentState.RESOLVED,
            level=worst((old.level, *(episode.level for episode in self.members))),
            last=newest.name if newest else old.last,
            signals=ordered(known.values(), {key: starts.get(key, self.since) for key in known}),
            resolved=None if firing else self._ended(watched),
        )
        if self.old is None:
            return made
        return replace(made, revision=self.old.revision + 1, to=()) if _said(made) != _said(self.old) else None

    def _ended(self, watched: Mapping[str, ModelWindows]) -> str | None:
        """Return when it was over: with the last of its episodes.

        Where windows were judged anew and there is none any more, with the newest window; None: it has none.
        """
        ends = [item.resolved for item in self.members if item.resolved]
        windows = [utc(judged.window.end) for name in self.touched for judged in watched[name].windows]
        return max(ends or [end for end in windows if end > self.since], default=None)

    def _opening(self) -> Incident:
        first = self.members[0]
        state = IncidentState.FIRING
        opened = first.opened.name, first.since, first.last.name
        return Incident(self.id, f"{MODEL}:{first.model}", (first.model,), state, first.level, *opened, ())


def _said(incident: Incident) -> tuple[object, ...]:
    """Return what makes two revisions differ: values of signals go on changing and are in the windows' records."""
    keys = frozenset(signal.key for signal in incident.signals)
    return incident.state, incident.level, incident.subject, incident.models, keys


def _cases(recorded: Iterable[Incident]) -> tuple[list[_Case], list[Incident]]:
    """Return a case for each recorded incident, and those that another one has taken over.

    Two clones may have opened one each for the same model: the one that began first goes on, the other ends in it.
    """
    cases: list[_Case] = []
    merged: list[Incident] = []
    owner: dict[str, _Case] = {}
    for item in sorted(recorded, key=lambda item: (utc(item.since), item.id)):
        case = _Case(item.id, utc(item.since), grouped(item) or "", item)
        into = next((owner[name] for name in item.models if name in owner), None) if item.firing else None
        if into and into.old:
            facts = {**item.facts, "merged": into.id}
            ended = replace(item, state=IncidentState.RESOLVED, revision=item.revision + 1, to=(), facts=facts)
            merged.append(ended)
            cases.append(replace(case, old=ended))
            into.taken |= set(item.models)
            owner |= {name: owner.get(name, into) for name in item.models}
            continue
        if item.firing:
            owner |= dict.fromkeys(item.models, case)
        cases.append(case)
    return cases, merged


def _join(cases: list[_Case], episode: Episode, dataset: str) -> None:
    """Put an episode where it belongs.

    1. The incident that its window and cause name. 2. One that is open for the model. 3. A new one.
    """
    names = _names(episode, dataset)
    by_id = {case.id: case for case in cases}
    first = next(names)
    case = by_id.get(first)
    if case is None or not case.covers(episode):
        touching = (item for item in cases if episode.model in item.touched and item.covers(episode))
        case = min(touching, key=lambda item: (item.left, item.since, item.id), default=None)
    if case is None:
        name = first
        while name in by_id:
            name = next(names)
        case = _Case(name, episode.since, dataset)
        cases.append(case)
    case.members.append(episode)


def _names(episode: Episode, dataset: str) -> Iterator[str]:
    """Yield ids for the incident that an episode opens: the same in each clone, whatever was judged before."""
    anchors = [f"{DATASET}:{dataset}"] if dataset and episode.cause == INPUTS else []
    for anchor in (*anchors, f"{MODEL}:{episode.model}"):
        yield digest([anchor, episode.opened.name])[:_ID]
    for number in count(2):
        yield digest([f"{MODEL}:{episode.model}", episode.opened.name, number])[:_ID]


def _subject(old: Incident, models: set[str], members: Sequence[Episode], watched: Mapping[str, ModelWindows]) -> str:
    """Return what the incident is about: a dataset where several of its models or columns turned bad, else a model."""
    if grouped(old):
        return old.subject
    datasets = {watched[episode.model].dataset for episode in members}
    columns = {
        signal.column
        for episode in members
        for signal in episode.signals
        if episode.opened.name == old.opened
        and episode.cause == INPUTS == stream_of(signal)
        # not what joined later
        and signal.column
        and episode.starts.get(signal.key, "") <= episode.confirmed
    }
    if len(datasets) == 1 and "" not in datasets and (len(models) > 1 or len(columns) >= COLUMNS):
        return f"{DATASET}:{datasets.pop()}"
    return old.subject
