"""`custody init`: make a folder of a Git repository a project."""

from __future__ import annotations

import argparse

from custody.cli.output import Output

HELP = "make this folder a custody project"
EXAMPLES = """\
examples:
  custody init
  custody -C services/scoring init        a folder of a larger repository

Run again, it adds what is missing and changes nothing else."""


def configure(parser: argparse.ArgumentParser) -> None:
    del parser


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.init import init

    del args
    made = init(out.directory)
    if out.json_mode:
        out.json({"root": str(made.root), "written": list(made.written), "kept": list(made.kept)})
        return 0
    out.result("\n".join(f"wrote {path}" for path in made.written) or "Nothing to do: this is a project already")
    if made.written:
        out.say("next: custody data add NAME FILE, then custody new MODEL --dataset NAME --target COLUMN")
        files = [path for path in made.written if path != ".gitignore"]
        out.say(f"undo: rm {' '.join(files)}" if files else "undo: git diff .gitignore")
    return 0
