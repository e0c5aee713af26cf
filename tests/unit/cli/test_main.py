"""The command line from outside: what it prints where, and its exit codes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from custody import __version__
from custody.cli import main as module
from custody.cli.main import main
from custody.cli.output import Output
from custody.errors import LockedError, RefusedError, StalePlanError, UsageError
from tests.unit.app.history import History


@contextmanager
def verb(name: str, work: object) -> Iterator[None]:
    """A verb for the time of a test: a real module in the real place, so that main finds it by its own means."""
    made = ModuleType(f"custody.cli.args.{name}")
    made.HELP, made.EXAMPLES = "do something", ""
    made.configure = lambda parser: parser.add_argument("--file")
    made.run = work
    sys.modules[made.__name__] = made
    known = module.verbs
    module.verbs = lambda: (*known(), name)
    try:
        yield
    finally:
        module.verbs = known
        del sys.modules[made.__name__]


def test_the_first_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    first = [line.split()[0] for line in out.splitlines() if line.startswith("  ") and line.split()[0] in module.FIRST]
    assert first == [name for name in module.FIRST if name in module.verbs()]
    assert {"plan", "apply", "status", "trace"} <= set(first)
    assert out.index("What happened:") > out.index("trace")
    for name in module.verbs():
        assert f"  {name} " in out
        assert import_module(f"custody.cli.args.{name.replace('-', '_')}").HELP in out


def test_no_verb_is_a_usage_error_that_shows_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 64
    out, err = capsys.readouterr()
    assert out == ""
    assert "usage: custody" in err


@pytest.mark.parametrize("arguments", [["plan", "--help"], ["--help", "plan"], ["help", "plan"], ["-q", "plan", "-h"]])
def test_the_page_of_a_verb(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "--detailed-exitcode" in out
    assert "examples:" in out
    assert "-C DIR" in out


def test_every_verb_has_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    for name in module.verbs():
        assert main([name, "--help"]) == 0, name
        assert capsys.readouterr().out.startswith(f"usage: custody {name}")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"custody {__version__}\n"
    assert main(["--json", "--version"]) == 0
    assert json.loads(capsys.readouterr().out) == {"custody": __version__}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["paln"], "did you mean `custody plan`?"),
        (["xyzzy"], "unknown verb 'xyzzy'"),
        (["../plan"], "unknown verb"),
        (["plan", "--detailed-exitcod"], "did you mean --detailed-exitcode?"),
        (["apply", "--jobs", "none"], "'none' is not a number of jobs"),
        (["apply", "--expect", "x"], "no plan id"),
        (["apply", "--lock-timeout", "5 days"], "no duration"),
        (["apply", "--engine", "dask"], "invalid choice"),
        (["log", "-n", "-1"], "-n"),
        (["trace"], "required"),
        (["-C"], "expected one argument"),
        (["-C", "/nowhere/at/all", "plan"], "there is no such folder"),
        (["--frobnicate", "plan"], "unknown option --frobnicate"),
    ],
)
def test_usage_errors(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 64
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error[")
    assert message in err
    assert "help: " in err or "-C" in arguments


def test_usage_errors_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["paln", "--json"]) == 64
    out, err = capsys.readouterr()
    assert err == ""
    error = json.loads(out)["error"]
    assert (error["exit_code"], error["help"][0]) == (64, "did you mean `custody plan`?")


def test_options_before_and_after_the_verb(tmp_path: Path) -> None:
    seen: list[tuple[Namespace, Output]] = []

    def run(args: Namespace, out: Output) -> int:
        seen.append((args, out))
        return 0

    with verb("again", run):
        for options in (
            ["-C", str(tmp_path), "--json", "-q", "--no-color", "again", "--file", "x"],
            ["again", "--file", "x", f"-C{tmp_path}", "--json", "-q", "--no-color"],
            ["-q", "again", "--json", "--file", "x", "-C", str(tmp_path)],
        ):
            assert main(options) == 0
    for args, out in seen:
        assert args.file == "x"
        assert (out.directory, out.json_mode, out.quiet, out.color) == (tmp_path, True, True, False)


def test_names_and_options_in_any_order() -> None:
    from custody.cli.main import Parser

    parser = Parser(prog="custody data")
    add = parser.add_subparsers(dest="command", required=True).add_parser("add")
    add.add_argument("name")
    add.add_argument("rest", nargs="*")
    add.add_argument("--from-source", action="store_true")
    for order in ("loans v2 --from-source", "loans --from-source v2", "--from-source loans v2"):
        found = parser.parse_args(["add", *order.split()])
        assert (found.name, found.rest, found.from_source) == ("loans", ["v2"], True)
    with pytest.raises(UsageError):
        parser.parse_args(["add", "--from-source"])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RefusedError("no", code="E301", because=("it says so",), help=("ask", "wait")), 4),
        (StalePlanError("moved"), 5),
        (LockedError("busy"), 6),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 141),
    ],
)
def test_what_is_raised_becomes_words_and_a_code(
    error: BaseException, code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    def run(_args: Namespace, _out: Output) -> int:
        raise error

    stdout = os.dup(1)
    try:
        with verb("again", run):
            assert main(["again"]) == code
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)
    err = capfd.readouterr().err
    assert "Traceback" not in err
    if isinstance(error, RefusedError):
        assert err == "error[E301]: no\n   because  it says so\n   = help: ask\n           wait\n"


def test_a_bug_leaves_its_traceback_in_the_project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(_args: Namespace, _out: Output) -> int:
        return 1 // 0

    (tmp_path / ".mlops").mkdir()
    (tmp_path / "deep").mkdir()
    with verb("again", run):
        assert main(["-C", str(tmp_path / "deep"), "again"]) == 3
        err = capsys.readouterr().err
        (log,) = (tmp_path / ".mlops/state/logs").iterdir()
        assert len(err.splitlines()) == 1
        assert str(log) in err
        assert "ZeroDivisionError" in log.read_text()
        assert "1 // 0" in log.read_text()
        assert main(["-C", str(tmp_path), "--json", "again"]) == 3
        assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == 3


def test_text_of_unknown_origin_cannot_drive_the_terminal() -> None:
    stream = io.StringIO()
    out = Output(color=True, stdout=stream, stderr=stream)
    out.result("\x1b[1mbold\x1b[0m \x1b[2J\x1b]0;title\x07 \x9b31m \u202etxt.exe\n\ttab")
    assert stream.getvalue() == ("\x1b[1mbold\x1b[0m \\x1b[2J\\x1b]0;title\\x07 \\x9b31m \\u202etxt.exe\n\ttab\n")
    stream = io.StringIO()
    Output(stdout=stream).result("\x1b[1mbold\x1b[0m")
    assert stream.getvalue() == "bold\n"
    stream = io.StringIO()
    Output(stdout=stream).json({"a": "\x9b\u202e\x1b", "b": (1, 2), "c": {3}})
    assert json.loads(stream.getvalue()) == {"a": "\x9b\u202e\x1b", "b": [1, 2], "c": [3]}
    assert "\x9b" not in stream.getvalue()


def test_text_of_unknown_origin_is_no_command_to_github() -> None:
    stream = io.StringIO()
    Output(github=True, stderr=stream).say("a\n  ::add-mask::x\n##[error]y")
    assert stream.getvalue() == "a\n  : :add-mask::x\n## [error]y\n"


@pytest.mark.parametrize(
    ("environ", "color"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"CLICOLOR_FORCE": "1"}, True),
    ],
)
def test_colour_follows_the_environment(
    environ: dict[str, str],
    color: bool,  # noqa: FBT001
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert Output.of(environ).color is color
    assert not Output.of(environ, no_color=True).color
    assert not Output.of(environ, json_mode=True).color
    capsys.readouterr()


def test_quiet_keeps_errors(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(quiet=True)
    out.say("chat")
    out.complain("trouble")
    assert capsys.readouterr().err == "trouble\n"


def custody(history: History, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(history.home), "GIT_CONFIG_NOSYSTEM": "1"}
    command = [sys.executable, "-m", "custody.cli.main", "-C", str(history.root), *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


@pytest.mark.heavy
def test_a_session_on_a_real_repository(tmp_path: Path) -> None:
    history = History(tmp_path)
    planned = custody(history, "plan", "--detailed-exitcode")
    assert (planned.returncode, planned.stderr) == (2, "")
    assert "+ churn  new  no run is recorded" in planned.stdout
    assert planned.stdout.endswith("Next: custody apply\n")
    assert json.loads((history.root / ".mlops/state/last.json").read_text())["exit_code"] == 2
    run = history.run(history.first)
    history.record(run)
    history.promote(run)
    assert "roc_auc 0.9123" in custody(history, "status", "churn").stdout
    assert [item["kind"] for item in json.loads(custody(history, "log", "--json").stdout)] == [
        "promotion",
        "register",
        "run",
    ]
    limited = custody(history, "log", "-n", "1")
    assert len(limited.stdout.splitlines()) == 1
    assert limited.stderr == "More: custody log -n 0\n"
    assert json.loads(custody(history, "show", "churn", "--json").stdout)["run"] == run.id
    traced = json.loads(custody(history, "trace", "churn@v1", "--json").stdout)
    assert traced["title"].startswith("churn · v1 · in production")
    assert "Ana" in custody(history, "trace", run.id).stdout
    history.write("models/churn/model.yaml", "ownr: x\n")
    broken = custody(history, "plan")
    assert broken.returncode == 1
    assert "--> models/churn/model.yaml:1:1" in broken.stderr
    assert json.loads(custody(history, "plan", "--json").stdout)["error"]["problems"][0]["line"] == 1
    assert json.loads((history.root / ".mlops/state/last.json").read_text())["exit_code"] == 1
    outside = custody(history, "-C", str(tmp_path), "status")
    assert outside.returncode == 64
    assert "custody init" in outside.stderr


def test_a_reader_that_leaves_is_no_fault(tmp_path: Path) -> None:
    history = History(tmp_path)
    for _ in range(3):
        history.record(history.run(history.first))
    environ = {"PATH": os.environ["PATH"], "HOME": str(history.home)}
    command = [sys.executable, "-m", "custody.cli.main", "-C", str(history.root), "log"]
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(command, env=environ, stdout=closed, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_terminal_that_lacks_characters_is_no_fault(tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-c", "from custody.cli.main import main; main(['trace', 'ü·'])"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "error" in done.stderr
    assert "Traceback" not in done.stderr


def test_parsers_of_nested_verbs_complain_alike() -> None:
    parser = module.Parser(prog="custody data")
    inner = parser.add_subparsers(required=True).add_parser("add")
    assert isinstance(parser, ArgumentParser)
    assert type(inner) is module.Parser
