"""Progress of an apply: one plain line an event, and the board that a live display shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from custody.cli.views.text import Tone, duration, fit, one_line, pad
from custody.domain.graph import Event, Progress

_TONES = {
    Progress.DONE: Tone.GOOD,
    Progress.REUSED: Tone.FAINT,
    Progress.FAILED: Tone.BAD,
    Progress.TIMED_OUT: Tone.BAD,
    Progress.CANCELLED: Tone.WARN,
    Progress.RETRYING: Tone.WARN,
}
_ENDED_BADLY = {Progress.FAILED, Progress.TIMED_OUT, Progress.CANCELLED}
_MODEL, _STEP = 20, 9
_MOST = 20


def line(event: Event, at: str) -> str:
    """Return `14:02:11  churn  train     done in 3.1 s`."""
    tone = _TONES.get(event.progress)
    word = tone(str(event.progress)) if tone else str(event.progress)
    spent = f" in {duration(event.seconds)}" if event.seconds is not None else ""
    detail = f": {fit(one_line(event.detail), 200)}" if event.detail else ""
    return f"{at}  {pad(one_line(event.node.model), _MODEL)}  {pad(event.node.step, _STEP)} {word}{spent}{detail}"


@dataclass(frozen=True, slots=True)
class Lane:
    """One model on the board: steps that ended well, the running one since when (monotonic), and a fault."""

    ended: tuple[str, ...] = ()
    running: str | None = None
    since: float = 0.0
    retry: str = ""
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Board:
    """All models that an apply has touched so far."""

    lanes: Mapping[str, Lane] = field(default_factory=dict)

    def after(self, event: Event, now: float) -> Board:
        """Return the board after `event`, which happened at `now` (monotonic seconds)."""
        model, step = event.node.model, event.node.step
        lane = self.lanes.get(model, Lane())
        if event.progress is Progress.STARTED:
            lane = replace(lane, running=step, since=now)
        elif event.progress is Progress.RETRYING:
            lane = replace(lane, retry=one_line(event.detail) or "retrying")
        elif event.progress in _ENDED_BADLY:
            lane = replace(lane, running=None, fault=f"{step} {event.progress}: {one_line(event.detail)}".rstrip(": "))
        else:
            running = None if lane.running == step else lane.running
            lane = replace(lane, ended=(*lane.ended, step), running=running, retry="")
        return replace(self, lanes={**self.lanes, model: lane})


def rows(board: Board, now: float, columns: int) -> list[str]:
    """Return one line a model: its finished steps, then what runs and for how long, or what went wrong.

    Of very many, those at work, and how many others there were.
    """
    lanes = dict(board.lanes)
    if len(lanes) > _MOST:
        lanes = {model: lane for model, lane in lanes.items() if lane.running is not None}
    widest = max((len(one_line(model)) for model in lanes), default=0)
    shown = [fit(_row(pad(one_line(model), widest), lane, now), columns) for model, lane in lanes.items()]
    others = len(board.lanes) - len(lanes)
    return [*([f"✓ {others} others"] if others else []), *shown]


def _row(model: str, lane: Lane, now: float) -> str:
    if lane.fault:
        return f"✗ {model}  {lane.fault}"
    done = " ".join(lane.ended)
    if lane.running is None:
        return f"✓ {model}  {done}"
    retry = f" ({lane.retry})" if lane.retry else ""
    running = f"{lane.running} {duration(now - lane.since)}{retry}"
    return f"· {model}  {done} {running}" if done else f"· {model}  {running}"
