"""From what was observed of a window to how it is judged, and what it is known by when it is judged again. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from custody.core.due import INPUTS, OUTCOMES
from custody.core.judging_inputs import Verdict
from custody.core.outcomes import Findings
from custody.digest import digest
from custody.domain.monitoring import Counts, Health, Judged, Profile, Window
from custody.domain.reference import Reference


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose windows are judged, by what: `by` is what the monitors say of judging, as it was written."""

    model: str
    run: str
    version: str
    reference: Reference
    by: Mapping[str, Any]


def profile_of_observed(observed: Mapping[str, Any]) -> Profile:
    """Return the profile of a window as its step told it; raises KeyError or ValueError for what is none."""
    columns = {name: Counts.from_text(text) for name, text in observed["columns"].items()}
    return Profile(observed["edges"], observed["rows"], columns, tuple(observed["missing"]), tuple(observed["unknown"]))


def judged_inputs(subject: Subject, window: Window, observed: Mapping[str, Any], verdict: Verdict) -> Judged:
    """Return a window of inputs as it was judged; one without signals is never ok where it could not be."""
    health = Health.of(verdict.signals)
    if health is Health.OK and (verdict.waiting or not observed["rows"]):
        health = Health.WAITING if observed["rows"] else Health.NO_DATA
    return Judged(
        subject.model,
        subject.run,
        subject.version,
        window,
        INPUTS,
        health,
        observed["rows"],
        known_by(subject, window, INPUTS, observed),
        subject.reference.digest,
        verdict.signals,
        profile=observed["columns"] if observed["rows"] else {},
        prediction=observed["prediction"],
        notes=(*verdict.notes, *_unscored(observed)),
        near=verdict.near,
        together=verdict.together,
    )


def _unscored(observed: Mapping[str, Any]) -> tuple[str, ...]:
    why = observed.get("unscored")
    return (f"predictions are not judged: {why}",) if why and observed["rows"] else ()


def judged_outcomes(subject: Subject, window: Window, observed: Mapping[str, Any], found: Findings) -> Judged:
    """Return a window of outcomes with what was found in it."""
    return Judged(
        subject.model,
        subject.run,
        subject.version,
        window,
        OUTCOMES,
        found.health,
        observed["predictions"],
        known_by(subject, window, OUTCOMES, observed),
        subject.reference.digest,
        found.signals,
        measures=found.measures,
        joined=None if found.joined is None else round(found.joined, 6),
        notes=found.notes,
    )


def known_by(subject: Subject, window: Window, what: str, observed: Mapping[str, Any]) -> str:
    """Return the digest of all that a window is judged from."""
    parts = [what, subject.run, subject.reference.digest, subject.by, window.to_dict(), observed]
    return digest(parts)


def settled(judged: Judged, before: Judged | None) -> Judged | None:
    """Return the window with the revision that it is; None where it was judged from the same, or says the same."""
    if before is None:
        return judged
    if before.inputs == judged.inputs:
        return None
    return replace(judged, revision=before.revision + 1)
