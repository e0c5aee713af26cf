"""The options that plan and apply share: which models, and which steps to run again."""

from __future__ import annotations

import argparse

from custody.core.choice import Choice
from custody.errors import UsageError


def add_choice(parser: argparse.ArgumentParser, verb: str) -> None:
    """Add MODEL…, `--target`, `--exclude`, `--replace` and `--reason`; `verb` says what is done with the models."""
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"{verb} these models only")
    parser.add_argument("--target", action="append", default=[], metavar="MODEL", help="the same, as an option")
    parser.add_argument("--exclude", action="append", default=[], metavar="MODEL", help="leave this model out")
    parser.add_argument(
        "--replace", action="append", default=[], metavar="MODEL:STEP", help="run this step again, with --reason"
    )
    parser.add_argument("--reason", metavar="TEXT", help="why a step is run again; recorded")


def choice_of(args: argparse.Namespace) -> Choice:
    """Return what was chosen. Raises UsageError where a replacement has no step or no reason, or a reason nothing."""
    replaced: dict[str, str] = {}
    for text in args.replace:
        model, colon, step = text.rpartition(":")
        if not colon or not model or not step:
            raise UsageError(
                f"--replace {text} names no step", code="E602", help=(f"--replace {text.strip(':')}:train",)
            )
        if model in replaced:
            raise UsageError(
                f"--replace names {model} twice; the steps after the first follow by themselves", code="E602"
            )
        replaced[model] = step
    reason = " ".join((args.reason or "").split())
    if replaced and not reason:
        raise UsageError("--replace needs a reason, which is recorded", code="E602", help=('--reason "…"',))
    if reason and not replaced:
        raise UsageError("--reason is for --replace", code="E602", help=("--replace MODEL:STEP",))
    targets = tuple(dict.fromkeys((*args.models, *args.target)))
    return Choice(targets, tuple(dict.fromkeys(args.exclude)), replaced, reason)
