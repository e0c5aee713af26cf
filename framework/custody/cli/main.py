"""The entry point: finds the verb's module, parses, runs, and turns what was raised into text or JSON and a code.

Nothing but argparse is imported until a verb is known, and then only that verb's module.
"""

from __future__ import annotations

import argparse
import errno
import gc
import os
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, Protocol, cast

from custody import __version__
from custody.cli.output import Output
from custody.cli.views.text import Tone, columns, one_line
from custody.errors import CustodyError, UsageError

FIRST = ("new", "check", "plan", "try", "apply", "status", "trace", "rollback")
"""The eight verbs of the first page, in the order in which a newcomer meets them."""

GROUPS = (
    ("Start and describe", ("init", "data", "schema")),
    ("What is in use", ("promote", "predict", "serve", "log-predictions", "deployed", "find")),
    ("What happened", ("log", "runs", "compare", "show", "as-of", "explain")),
    ("What changed, and what it touches", ("why", "bisect", "impact", "retrain")),
    ("Is it still right", ("monitor", "incident", "ack", "silence", "postmortem", "verify", "reproduce")),
    ("The machinery", ("doctor", "sync", "ledger", "store", "comment", "deploy", "bundle", "completion")),
)
"""All other verbs, grouped by the question they answer."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.EROFS, errno.EDQUOT})
BUG, INTERRUPTED, PIPE_CLOSED, USAGE = 3, 130, 141, 64
_UNCOLLECTED = 100_000
"""Objects after which garbage is looked for: a fifth of a short command's time would be looking and finding nothing."""

_HELP = re.compile(r'^HELP = "([^"\\\n]+)"$', re.MULTILINE)

GLOBAL_OPTIONS = """\
global options, before or after the verb:
  -C DIR         work as if started in DIR
  --json         the same facts as JSON on stdout
  -q, --quiet    results and errors only
  --no-color     no colours (also: NO_COLOR=1)"""


class Verb(Protocol):
    """What a module in `custody.cli.args` offers."""

    HELP: str
    EXAMPLES: str

    def configure(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, args: argparse.Namespace, out: Output) -> int: ...


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Asks the terminal for its width itself: what argparse asks imports five archive formats, at every start."""

    def __init__(self, prog: str) -> None:
        try:
            columns = int(os.environ.get("COLUMNS") or 0) or os.get_terminal_size(1).columns
        except (ValueError, OSError):
            columns = 0
        super().__init__(prog, width=(columns or 80) - 2)


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are `UsageError`s (exit 64) with a near miss named."""

    _mixing = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Take options and names in any order: by itself argparse refuses `add NAME --from-source VERSION`."""
        names = [action for action in self._actions if not action.option_strings]
        if self._mixing or not names or any(action.nargs == argparse.PARSER for action in names):
            return super().parse_known_args(args, namespace)
        self._mixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._mixing = False

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, code="E640", help=(f"{self.prog} --help",))

    def unknown(self, argument: str) -> NoReturn:
        """Refuse `argument`, naming the nearest option."""
        options = re.findall(r"--[a-z][a-z-]*", self.format_help())
        from difflib import get_close_matches

        near = get_close_matches(argument.partition("=")[0], options, 1)
        hint = (f"did you mean {near[0]}?",) if near else ()
        message = f"unknown argument {argument} for {self.prog}"
        raise UsageError(message, code="E641", help=(*hint, f"{self.prog} --help"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run custody with `argv` (default: the process's arguments, and it ends then) and return its exit code."""
    if argv is not None:
        return _run(list(argv))
    gc.set_threshold(_UNCOLLECTED)
    try:
        return _run(sys.argv[1:])
    finally:
        gc.freeze()  # the interpreter looks once more at its end


def _run(arguments: list[str]) -> int:
    _tolerate_any_text()
    out = Output.of(os.environ, json_mode="--json" in arguments)
    try:
        options, rest = _globals().parse_known_args(arguments)
        out = Output.of(
            os.environ,
            directory=Path(options.directory),
            json_mode=options.json,
            no_color=options.no_color,
            quiet=options.quiet,
        )
        return _guarded(lambda: _dispatch(rest, out), out)
    except UsageError as error:
        return _fail(error, out)


def _dispatch(rest: list[str], out: Output) -> int:
    if rest[:1] == ["--version"]:
        return _version(out)
    if not rest or rest[0] in {"-h", "--help", "help"}:
        return _help(rest[1:], out) if rest else _first_page(out.complain, USAGE)
    name, tail = rest[0], rest[1:]
    if name.startswith("-"):
        message = f"unknown option {name} before the verb"
        raise UsageError(message, code="E641", help=("custody --help",))
    if not out.directory.is_dir():
        message = f"-C {out.directory}: there is no such folder"
        raise UsageError(message, code="E642")
    verb = _load(name)
    parser = _parser(name, verb)
    arguments, unknown = parser.parse_known_args(tail)
    if unknown:
        parser.unknown(unknown[0])
    return verb.run(arguments, out)


def _guarded(work: Callable[[], int], out: Output) -> int:
    """Run `work` and turn whatever it raises into words and an exit code."""
    try:
        return work()
    except SystemExit as end:  # argparse, after it printed a help page
        return end.code if isinstance(end.code, int) else 0
    except CustodyError as error:
        return _fail(error, out)
    except KeyboardInterrupt:
        out.complain("Interrupted.")
        return INTERRUPTED
    except BrokenPipeError:  # an OSError too, so it comes first
        # the reader has gone (`custody log | head`); keep the interpreter quiet when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except Exception as error:  # noqa: BLE001 - the last line of defence: a full disk, or a bug, logged whole
        full = isinstance(error, OSError) and error.errno in _NO_ROOM
        return _fail(_no_room(error), out) if full else _bug(error, out)


def _no_room(error: Exception) -> CustodyError:
    """Return in words that a disk is full or may not be written to."""
    name = getattr(error, "filename", None)
    path = Path(name) if isinstance(name, str) else None
    message = f"a file cannot be written: {getattr(error, 'strerror', '')}{f': {path}' if path else ''}"
    return CustodyError(message, code="E609", help=(f"df -h {path.parent if path else '.'}",))


def _fail(error: CustodyError, out: Output) -> int:
    problems = getattr(error, "problems", ())  # of InvalidSpecError, which is not imported for its name alone
    if out.json_mode:
        out.json({"error": error_dict(error) | {"problems": [problem.to_dict() for problem in problems]}})
        return error.exit_code
    out.problems(problems)
    out.complain(("\n" if problems else "") + error_text(error))
    return error.exit_code


def error_text(error: CustodyError) -> str:
    """Return the text of an expected failure: a first line complete on its own, then causes and remedies."""
    code = f"[{error.code}]" if error.code else ""
    lines = [f"{Tone.BAD(f'error{code}')}: {one_line(error.message)}"]
    lines += [f"   because  {one_line(line)}" for line in error.because]
    for number, line in enumerate(error.help):
        lines.append(f"   {'= help: ' if number == 0 else '        '}{one_line(line)}")
    return "\n".join(lines)


def error_dict(error: CustodyError) -> dict[str, object]:
    """Return the JSON form of an expected failure; the same facts as the text."""
    return {
        "code": error.code or None,
        "message": error.message,
        "because": list(error.because),
        "help": list(error.help),
        "exit_code": error.exit_code,
    }


def _bug(error: Exception, out: Output) -> int:
    import traceback

    log = _log_of(out.mask.text("".join(traceback.format_exception(error))), out.directory)
    message = f"a bug in custody: {type(error).__name__}: {error}"
    if out.json_mode:
        out.json({"error": {"code": "E999", "message": message, "log": str(log), "exit_code": BUG}})
    else:
        out.complain(f"{Tone.BAD('error[E999]')}: {one_line(message)} (traceback: {one_line(str(log))})")
    return BUG


def _log_of(text: str, directory: Path) -> Path:
    """Write a traceback below the project's state folder, or where that fails into a temporary file."""
    import tempfile

    start = directory.absolute()
    root = next((folder for folder in (start, *start.parents) if (folder / ".mlops").is_dir()), None)
    try:
        folder = root / ".mlops" / "state" / "logs" if root else None
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix="bug-", suffix=".log", dir=folder)
    except OSError:
        handle, name = tempfile.mkstemp(prefix="custody-bug-", suffix=".log")
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    return Path(name)


def _globals() -> Parser:
    parser = Parser(prog="custody", add_help=False, allow_abbrev=False, formatter_class=Formatter)
    parser.add_argument("-C", dest="directory", default=".")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("-q", "--quiet", action="store_true")
    parser.add_argument("--no-color", action="store_true")
    return parser


def _parser(name: str, verb: Verb) -> Parser:
    epilog = f"{verb.EXAMPLES.strip()}\n\n{GLOBAL_OPTIONS}" if verb.EXAMPLES.strip() else GLOBAL_OPTIONS
    parser = Parser(
        prog=f"custody {name}",
        description=verb.HELP,
        epilog=epilog,
        formatter_class=Formatter,
        allow_abbrev=False,
    )
    verb.configure(parser)
    return parser


def verbs() -> tuple[str, ...]:
    """Return the verbs that this custody has, in order of name."""
    from pkgutil import iter_modules

    from custody.cli import args

    return tuple(sorted(module.name.replace("_", "-") for module in iter_modules(args.__path__)))


def _load(name: str) -> Verb:
    known = verbs()
    if name in known:
        return cast("Verb", import_module(f"custody.cli.args.{name.replace('-', '_')}"))
    from difflib import get_close_matches

    near = get_close_matches(name, known, 1)
    hint = (f"did you mean `custody {near[0]}`?",) if near else ()
    message = f"unknown verb {name!r}"
    raise UsageError(message, code="E641", help=(*hint, "custody --help"))


def _help(rest: list[str], out: Output) -> int:
    if not rest:
        return _first_page(out.result, 0)
    out.result(_parser(rest[0], _load(rest[0])).format_help().rstrip())
    return 0


def _first_page(write: Callable[[str], None], code: int) -> int:
    known = verbs()
    listed = {name for _, names in GROUPS for name in names} | set(FIRST)
    groups = [*GROUPS, ("More", tuple(name for name in known if name not in listed))]
    lines = ["custody keeps the chain of custody of machine-learning models in Git.", ""]
    lines += ["usage: custody [-C DIR] [--json] VERB ...", "", *_lines(FIRST, known)]
    for heading, names in groups:
        if rows := _lines(names, known):
            lines += ["", f"{heading}:", *rows]
    write("\n".join([*lines, "", GLOBAL_OPTIONS, "", "custody VERB --help tells more; custody --version."]))
    return code


def _lines(names: Sequence[str], known: Sequence[str]) -> list[str]:
    return columns([["", name, _help_line(name)] for name in names if name in known])


def _help_line(name: str) -> str:
    """Return a verb's HELP, read from its source: the first page must not pay for what every verb imports."""
    from custody.cli import args

    source = Path(args.__path__[0], f"{name.replace('-', '_')}.py")
    found = _HELP.search(source.read_text(encoding="utf-8")) if source.is_file() else None
    return found[1] if found else _load(name).HELP


def _version(out: Output) -> int:
    if out.json_mode:
        out.json({"custody": __version__})
    else:
        out.result(f"custody {__version__}")
    return 0


def _tolerate_any_text() -> None:
    """Let a terminal that lacks a character show an escape instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())
