"""What is said of incidents and messages, against approved texts."""

from __future__ import annotations

from dataclasses import replace

from custody.app.outbox import Delivery
from custody.app.story import Shown, draft
from custody.cli.views import incident as view
from custody.core.story import Happening
from custody.domain.channels import Message
from custody.domain.incident import Flag, Incident, IncidentState
from custody.domain.monitoring import Signal
from custody.domain.monitors import Level
from custody.ledger.outbox import Queued
from tests.unit.cli.golden import approve

BIAS = Signal(
    *("bias", Level.ALERT, "demand lies 67 rentals an hour (105 %) above the level that the model learnt"),
    *(None, "mean", 67.1, 14.2, (62.0, 72.1), 744),
)
R2 = Signal("outcome", Level.ALERT, "r2 is below its limit", None, "r2", 0.328, 0.72, (0.289, 0.368), 744)
NULLS = Signal("nulls", Level.ALERT, "plan is missing in 31 % of rows", "plan", "share", 0.31, 0.1, (0.28, 0.34), 4166)
DRIFT = Signal("drift", Level.WARN, "age moved", "age", "psi", 0.31, 0.22, None, 4166, "training")
FACTS = {
    "owner": "growth-ml",
    "stage": "production",
    "version": "v17",
    "run": "1a2b3c4d5e6f7081",
    "previous": "v16",
    "upstream": {"dataset": "bikes@v3", "owner": "city"},
    "runbook": {
        "path": "models/demand/runbook.md",
        "commit": "9f31c2e" + "0" * 33,
        "text": ["Call the city's data desk: 555-0100.", "Then compare with the same week of last year."],
    },
    "good": {"window": "2011-12", "end": "2012-01-01T00:00:00+00:00", "version": "v17", "run": "1a2b3c4d5e6f7081"},
    "changed": [],
    "same": ["model v17 since 2011-12-30", "data bikes@v3", "code of the model, 9f31c2e"],
    "predictions": {"rows": 744, "batches": 31},
}
SHIFT = Incident(
    *("3f2a9c1b77aa", "model:demand", ("demand",), IncidentState.FIRING, Level.ALERT),
    *("2012-01", "2012-01-01T00:00:00+00:00", "2012-03", (BIAS, R2), 1, 1, "2012-02-15T06:00:00+00:00"),
    facts=FACTS,
    to=("pager",),
    told=("pager",),
)
FEED = Incident(
    *("81c04d5e2b9f", "dataset:customers", ("churn", "value"), IncidentState.FIRING, Level.ALERT),
    *("2026-11-20", "2026-11-20T00:00:00+00:00", "2026-11-24", (NULLS, DRIFT), 3, 2, "2026-11-24T06:00:00+00:00"),
    facts={
        **FACTS,
        "owner": "crm",
        "upstream": {"dataset": "customers@v4", "owner": "crm"},
        "changed": ["data customers@v3 → customers@v4", "code 41ab07c Read the tariff from the new column"],
        "same": ["model v17 since 2026-11-02"],
        "withheld": ["retrain: nulls of plan are red"],
    },
)
OVER = replace(SHIFT, state=IncidentState.RESOLVED, resolved="2012-07-01T00:00:00+00:00", revision=4, to=("pager",))
TAKEN = Flag(
    FEED.id, FEED.id, "Ann <ann@example.org>", "2026-11-24T07:00:00+00:00", "2026-11-24T15:00:00+00:00", "the feed"
)


def shown(incident: Incident, taken: Flag | None = None, *, silenced: bool = False) -> Shown:
    return Shown(incident, taken, silenced, {})


def test_the_list() -> None:
    listed = [shown(FEED, TAKEN), shown(replace(SHIFT, level=Level.WARN), silenced=True), shown(OVER)]
    approve("incident_list", view.table(listed, 3))
    approve("incident_none", "\n".join((view.table([], 0), view.table([], 2))))


def test_the_screen_of_a_level_shift() -> None:
    approve("incident_shift", view.screen_text(shown(SHIFT)))


def test_the_screen_of_a_broken_feed_that_somebody_has_taken_on() -> None:
    approve("incident_feed", view.screen_text(shown(FEED, TAKEN)))


def test_the_screen_of_one_that_is_over() -> None:
    approve("incident_over", view.screen_text(shown(OVER)))


def test_what_a_delivery_did() -> None:
    message = Message("k", SHIFT.id, 1, "trigger", "alert", "alert demand: bias", "", ("demand",), "growth", "", "")
    sent, late, dead = (Queued(message, name, 0.0) for name in ("log", "pager", "mail"))
    late, dead = replace(late, error="the receiver answers 503"), replace(dead, dead="the mail server answers 550")
    approve("incident_delivery", view.delivery_text(Delivery((sent,), (late,), (dead,), 1)))
    assert view.delivery_text(Delivery()) == "No message is due."
    told = view.delivery_json(Delivery((sent,), (late,), (dead,), 1))
    assert [item["channel"] for name in ("sent", "put_off", "given_up") for item in told[name]] == [
        "log",
        "pager",
        "mail",
    ]


def test_the_draft_of_a_postmortem() -> None:
    story = (
        Happening("2012-02-01T00:00:00+00:00", "demand, outcomes of 2012-01: bias +67.1 > 14.2"),
        Happening(
            "2012-02-15T06:00:00+00:00", "alert demand: bias +67.1 > 14.2 since 2012-01 (pages growth-ml)", "41ab07c"
        ),
        Happening("2012-02-15T06:00:02+00:00", "message arrived: pager revision 1"),
        Happening("2012-06-20T09:00:00+00:00", "promote demand: production → v18 (was v17)", "77ab07c"),
    )
    approve("postmortem", draft(shown(OVER), story))
