"""`custody schema`: the JSON Schemas of the spec files, for editors."""

from __future__ import annotations

import argparse
import json

from custody.cli.output import Output

HELP = "print the JSON Schema of a kind of spec file, or write all for an editor's completion"
EXAMPLES = """\
examples:
  custody schema pipeline
  custody schema --write                  .mlops/schemas/*.json, and which files they are for in .vscode/settings.json

Other editors take the first line of a file:
  # yaml-language-server: $schema=../../.mlops/schemas/pipeline.json"""


def configure(parser: argparse.ArgumentParser) -> None:
    kinds = "model, data, pipeline, gates, monitors, dataset, version or config"
    parser.add_argument("kind", metavar="KIND", nargs="?", help=kinds)
    parser.add_argument("--write", action="store_true", help="write all of them, as `custody init` does")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.schema import KINDS, schema_of
    from custody.errors import UsageError

    if args.write == bool(args.kind):
        raise UsageError(
            f"give a KIND, one of {', '.join(KINDS)}, or --write",
            help=("custody schema pipeline", "custody schema --write"),
        )
    if not args.write:
        out.json(schema_of(args.kind))
        return 0
    return _write(out)


def _write(out: Output) -> int:
    from custody.app.editor import SCHEMAS, SETTINGS
    from custody.app.project import open_project
    from custody.app.schema import write

    made = write(open_project(out.directory))
    if out.json_mode:
        out.json({"schemas": made.schemas, "settings": made.settings, "by_hand": dict(made.by_hand)})
        return 0
    written = [path for path, changed in ((f"{SCHEMAS}/", made.schemas), (SETTINGS, made.settings)) if changed]
    out.result("\n".join(f"wrote {path}" for path in written) or "Nothing to do: the schemas are those of this version")
    if made.by_hand:
        out.say(f"{SETTINGS} is not plain JSON and was left alone; add there by hand:")
        out.say(json.dumps({"yaml.schemas": dict(made.by_hand)}, indent=2))
    if written:
        out.say(f"undo: git checkout -- {' '.join(written)}   (git status shows what is new)")
    return 0
