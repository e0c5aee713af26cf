from __future__ import annotations

from datetime import datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from custody.core.alert_words import brief, headline
from custody.core.incident_screen import HEIGHT, WIDTH, meaning, screen
from custody.domain.incident import Flag, Incident, IncidentState
from custody.domain.monitoring import Signal
from custody.domain.monitors import Level

TEXT = st.text(max_size=30) | st.just("a long word " * 20) | st.just("x" * 200)
NAME = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True)
MONITORS = ("nulls", "constant", "drift", "bias", "outcome", "prediction", "estimate", "run", "schema", "unheard")
SIGNALS = st.builds(
    Signal,
    st.sampled_from(MONITORS),
    st.sampled_from([Level.WARN, Level.ALERT]),
    TEXT,
    st.none() | TEXT,
    st.none() | TEXT,
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)),
    st.none() | st.integers(0, 10**9),
)
LINES = st.lists(TEXT, max_size=6)
FACTS = st.fixed_dictionaries(
    {},
    optional={
        "owner": TEXT,
        "upstream": st.fixed_dictionaries({"dataset": TEXT, "owner": TEXT}),
        "changed": LINES,
        "same": LINES,
        "done": LINES,
        "withheld": LINES,
        "previous": NAME,
        "runbook": st.fixed_dictionaries({"path": TEXT, "commit": TEXT, "text": LINES}),
        "predictions": st.fixed_dictionaries({"rows": st.integers(0, 10**9)}),
        "good": st.fixed_dictionaries({"window": TEXT, "version": st.none() | TEXT, "run": TEXT}),
    },
)
INCIDENTS = st.builds(
    Incident,
    st.just("3f2a9c1b77aa"),
    st.sampled_from(["model:churn", "dataset:customers"]),
    st.lists(NAME, min_size=1, max_size=6).map(tuple),
    st.sampled_from(IncidentState),
    st.sampled_from([Level.WARN, Level.ALERT]),
    TEXT,
    st.just("2026-11-20T00:00:00+00:00"),
    TEXT,
    st.lists(SIGNALS, max_size=8).map(tuple),
    facts=FACTS,
)


FLAGS = st.builds(Flag, TEXT, TEXT, TEXT, TEXT, st.none() | st.datetimes().map(datetime.isoformat), TEXT)


@settings(max_examples=60)
@given(INCIDENTS, st.none() | FLAGS)
def test_it_fits_a_screen_and_holds_every_command_whole(incident: Incident, taken: Flag | None) -> None:
    lines = screen(incident, taken)
    assert len(lines) <= HEIGHT
    then = lines.index("then:")
    assert all(len(line) <= WIDTH for line in lines[:then])
    assert all(line.isprintable() for line in lines[:then])
    commands = "\n".join(lines[then:])
    assert all(f"{model}:train" in commands for model in incident.models)
    assert f"incidents/{incident.id}.json" in commands
    assert ("custody ack" in commands) is incident.firing


@settings(max_examples=30)
@given(INCIDENTS)
def test_its_line_is_one(incident: Incident) -> None:
    assert headline(incident).isprintable()


def test_signals_in_short() -> None:
    def short(*parts: Any) -> str:
        monitor, column, metric, value, limit = parts
        return brief(Signal(monitor, Level.ALERT, "", column, metric, value, limit))

    assert short("bias", None, "mean", 67.1, 14.2) == "bias +67.1 > 14.2"
    assert short("bias", None, "mean", -67.1, 14.2) == "bias -67.1 < -14.2"
    assert short("outcome", None, "r2", 0.328, 0.72) == "r2 0.328 < 0.72"
    assert short("outcome", None, "rmse", 80.0, 40.0) == "rmse 80 > 40"
    assert short("outcome", "gender=f", "roc_auc", 0.6, 0.8) == "roc_auc gender=f 0.6 < 0.8"
    assert short("drift", "plan", "psi", 0.31, 0.22) == "drift plan psi 0.31 > 0.22"
    assert short("constant", "fee", None, None, None) == "constant fee"
    assert short("volume", None, "rows", 11.0, 20.0) == "volume 11 < 20"


def test_bias_with_inputs_in_band_is_a_level_shift() -> None:
    bias = Signal("bias", Level.ALERT, "", None, "mean", 67.1, 14.2)
    drift = Signal("drift", Level.WARN, "", "plan", "psi", 0.3, 0.2)
    incident = Incident(
        "i", "model:m", ("m",), IncidentState.FIRING, Level.ALERT, "w", "2026-01-01T00:00:00+00:00", "w", ()
    )

    def means(*signals: Signal) -> str:
        return meaning(Incident(*(getattr(incident, name) for name in incident.__slots__[:8]), signals))

    assert means(bias).startswith("level shift")
    assert means(bias).endswith("inputs are in band")
    assert not means(bias, drift).endswith("inputs are in band")
    assert means(Signal("nulls", Level.ALERT, "", "plan")).startswith("broken data")
