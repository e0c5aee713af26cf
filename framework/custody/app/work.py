"""One piece of work in a process of its own, outside of any graph: what loads models or reads large tables."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from custody import errors
from custody.app.project import Project
from custody.domain.ports import Ending, ProcessEnd, Task
from custody.errors import CustodyError


def work(project: Project, entry: str, payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Call `entry` (`module:function`) with `payload` in a process of its own and return its answer.

    What it prints goes to a log called after `name`, which goes where it ended well. Raises the CustodyError that it
    raised, CustodyError with the log for all else.
    """
    from custody.engine.process import StepServer

    logs = project.state_dir / "logs"
    log = logs / f"{name}-{secrets.token_hex(4)}.log"
    logs.mkdir(parents=True, exist_ok=True)
    with StepServer(project.state_dir / "steps.log", fork=False) as server:
        end = server.run(Task(entry, payload, log, "", {}))
    if end.ending is not Ending.DONE:
        raise _failure(end, str(log))
    log.unlink(missing_ok=True)
    return end.result or {}


def _failure(end: ProcessEnd, log: str) -> CustodyError:
    kind = (end.result or {}).get("error")
    told = kind if isinstance(kind, Mapping) else {}
    found = getattr(errors, str(told.get("type")), CustodyError)
    known = found if isinstance(found, type) and issubclass(found, CustodyError) else CustodyError
    plain = CustodyError if known is errors.InvalidSpecError else known
    message = end.error or str(end.ending)
    return plain(message, code=str(told.get("code") or ""), help=(*told.get("help", ()), f"less {log}"))
