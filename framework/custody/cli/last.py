"""`.mlops/state/last.json`: how the last plan or apply ended, for callers that lose the exit code (such as make)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from custody.core.masking import Mask
from custody.errors import CustodyError

_BUG, _INTERRUPTED = 3, 130


@dataclass(slots=True)
class Outcome:
    """What will be written; the verb fills it in."""

    exit_code: int = 0
    facts: dict[str, Any] = field(default_factory=dict)


@contextmanager
def outcome(state_dir: Path, verb: str) -> Iterator[Outcome]:
    """Write how the block ended, also where it raises."""
    result = Outcome()
    try:
        yield result
    except CustodyError as error:
        result.exit_code = error.exit_code
        result.facts["error"] = {"code": error.code, "message": error.message}
        raise
    except KeyboardInterrupt:
        result.exit_code = _INTERRUPTED
        raise
    except Exception as error:
        result.exit_code = _BUG
        result.facts["error"] = {"code": "E999", "message": f"{type(error).__name__}: {error}"}
        raise
    finally:
        # a note for CI: that it could not be written must not turn a finished apply into a failure
        with suppress(OSError):
            told = Mask.of(os.environ).json(result.facts)
            _write(state_dir, {"verb": verb, "exit_code": result.exit_code, "at": _now(), **told})


def _write(state_dir: Path, value: dict[str, Any]) -> None:
    state_dir.mkdir(parents=True, exist_ok=True)
    aside = state_dir / f"last-{os.getpid()}"
    aside.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    aside.replace(state_dir / "last.json")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
