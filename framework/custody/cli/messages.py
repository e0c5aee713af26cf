"""Sending what waits in the outbox at the end of a command: what does not arrive is said, and fails nothing."""

from __future__ import annotations

import os

from custody.app.project import Project
from custody.cli.output import Output
from custody.cli.views.text import one_line
from custody.errors import CustodyError


def send(project: Project, out: Output) -> None:
    """Send the messages that are due, with the secrets of this process's environment."""
    from custody.app.outbox import deliver_now

    try:
        done = deliver_now(project, os.environ)
    except CustodyError as error:
        out.complain(f"Messages wait in the outbox: {one_line(error.message)}")
        out.complain("   = help: custody incident deliver")
        return
    for item in (*done.failed, *done.dead):
        out.complain(f"Not delivered through {item.channel}: {one_line(item.dead or item.error or '')}")
    if done.failed or done.dead:
        out.complain("   = help: custody incident deliver, or custody doctor")
