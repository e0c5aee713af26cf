"""A runner that applies what it is told to: `python -m tests.slow.appliers CLONE`, one commit a line on stdin.

For each it checks the commit out on main and applies it: the whole command line, in this process, which has loaded by
then what a fresh interpreter would load each time. It answers with one line of JSON: `{code, said, error}`.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

from custody.cli.main import main as custody


def main() -> None:
    path = sys.argv[1]
    for line in sys.stdin:
        commit = line.strip()
        for command in (["fetch", "-q", "origin", "main"], ["checkout", "-q", "-B", "main", commit]):
            subprocess.run(["git", "-C", path, *command], check=True)
        said, error = io.StringIO(), io.StringIO()
        with redirect_stdout(said), redirect_stderr(error):
            code = custody(["-C", path, "--json", "--quiet", "apply", "--engine", "inline", "--jobs", "1"])
        answer = {"code": code, "said": json.loads(said.getvalue() or "null"), "error": error.getvalue()}
        print(json.dumps(answer), flush=True)  # noqa: T201 - this is how it answers


if __name__ == "__main__":
    main()
