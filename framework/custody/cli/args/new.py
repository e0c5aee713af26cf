"""`custody new`: the specs of a first model."""

from __future__ import annotations

import argparse

from custody.cli.output import Output

HELP = "write the specs of a new model"
EXAMPLES = """\
examples:
  custody new churn --dataset customers --target churned
  custody new prices --dataset houses@v2 --target price --task regression --owner pricing --purpose valuation

What is not given is told by the dataset: the task by the target's type, owner and purpose by dataset.yaml."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="the name of the model, and of its folder")
    parser.add_argument("--dataset", required=True, metavar="NAME", help="what it learns from: customers, customers@v2")
    parser.add_argument("--target", required=True, metavar="COLUMN", help="the column to be predicted")
    parser.add_argument("--task", choices=("classification", "regression"), help="default: by the target's type")
    parser.add_argument("--owner", metavar="TEAM", help="who answers for it (default: the dataset's owner)")
    parser.add_argument("--purpose", metavar="WORD", help="what it is for (default: the dataset's first purpose)")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.new import Wish, new
    from custody.app.project import open_project

    wish = Wish(args.model, args.dataset, args.target, args.task, args.owner, args.purpose)
    made = new(open_project(out.directory), wish)
    if out.json_mode:
        out.json({"directory": made.directory, "files": list(made.files), "inferred": dict(made.inferred)})
        return 0
    out.result("\n".join(made.files))
    for key, value in made.inferred.items():
        out.say(f"{key}: {value}  (told by the dataset; change it in {made.directory}/model.yaml)")
    out.say(f"next: custody check {made.directory}, then git add {made.directory} && git commit, then custody apply")
    out.say(f"undo: rm -r {made.directory}")
    return 0
