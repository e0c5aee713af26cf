"""What an acknowledgement or a silence says when it is recorded."""

from __future__ import annotations

from custody.app.flag import Flagged
from custody.cli.output import Output
from custody.core.alert_words import about, day_of

NOT_SHARED = 7


def show(done: Flagged, word: str, undo: str, out: Output) -> int:
    """Show what was recorded, with how to take it back, and return the exit code."""
    code = NOT_SHARED if done.unshared else 0
    if out.json_mode:
        incidents = [item.id for item in done.incidents]
        value = {**done.flag.to_dict(), "incidents": incidents, "commit": done.commit}
        out.json(value | {"shared": not done.unshared, "unshared": done.unshared or None})
        return code
    until = f" until {day_of(done.flag.until)}" if done.flag.until else ""
    out.result(f"{word}: {done.flag.match}{until}.")
    for item in done.incidents:
        out.result(f"  {item.id}  {about(item)}, since {item.opened}")
    if done.unshared:
        out.complain(f"Not shared yet: {done.unshared}. It is safe here and lands with the next share.")
        out.complain("   = help: custody sync")
    out.say(f"undo: {undo}")
    return code
