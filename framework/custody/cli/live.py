"""Showing progress while an apply runs: a live board where a person watches, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Lock

from custody.cli.output import Output
from custody.cli.views.progress import Board, line, rows
from custody.domain.graph import Event


@contextmanager
def shown(out: Output) -> Iterator[Callable[[Event], None]]:
    """Give the function that an engine calls for every event, from any thread."""
    if out.quiet:
        yield lambda _event: None
    elif out.terminal:
        with _live(out) as show:
            yield show
    else:
        lock = Lock()

        def show_line(event: Event) -> None:
            with lock:
                out.say(line(event, datetime.now(UTC).strftime("%H:%M:%SZ")))

        yield show_line


@contextmanager
def _live(out: Output) -> Iterator[Callable[[Event], None]]:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(file=out.stderr, no_color=not out.color, highlight=False)
    lock = Lock()
    board = Board()

    def render() -> Text:
        return Text("\n".join(rows(board, time.monotonic(), console.width)), no_wrap=True)

    def show(event: Event) -> None:
        nonlocal board
        with lock:
            board = board.after(event, time.monotonic())

    with Live(get_renderable=render, console=console, refresh_per_second=8, transient=True):
        yield show
