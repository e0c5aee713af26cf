"""`custody init`: make a folder of a Git repository a project."""

from __future__ import annotations

import argparse

from custody.cli.output import Output

HELP = "make this folder a custody project; --ci writes workflows for GitHub or GitLab"
EXAMPLES = """\
examples:
  custody init
  custody init --ci github                check, plan and comment on pull requests, apply on the branch
  custody -C services/scoring init        a folder of a larger repository

Run again, it adds what is missing and changes nothing else."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ci", choices=("github", "gitlab"), help="write the workflows of this host, and `remote: origin`"
    )


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.init import init

    made = init(out.directory, args.ci)
    if out.json_mode:
        listed = {"written": list(made.written), "kept": list(made.kept), "settings": list(made.settings)}
        out.json({"root": str(made.root), **listed})
        return 0
    out.result("\n".join(f"wrote {path}" for path in made.written) or "Nothing to do: this is a project already")
    if made.settings:
        out.say(f"set in this clone: {', '.join(made.settings)}  (git mlog, git mshow, notes in git log)")
    if args.ci and made.written:
        out.say("next: git add -A && git commit, then protect mlops/* on the host against force pushes and deletion")
        out.say("undo: git status   shows what is new; nothing is committed")
    elif made.written:
        out.say("next: custody data add NAME FILE, then custody new MODEL --dataset NAME --target COLUMN")
        files = [path for path in made.written if path != ".gitignore"]
        out.say(f"undo: rm -r {' '.join(files)}" if files else "undo: git diff .gitignore")
    return 0
