"""`custody schema`: the JSON Schema of a spec file, for editors."""

from __future__ import annotations

import argparse

from custody.cli.output import Output

HELP = "print the JSON Schema of a kind of spec file, for an editor's completion"
EXAMPLES = """\
examples:
  custody schema pipeline > pipeline.schema.json
  then let the editor use it for models/*/pipeline.yaml, or write as the first line of a file:
  # yaml-language-server: $schema=pipeline.schema.json"""


def configure(parser: argparse.ArgumentParser) -> None:
    kinds = "model, data, pipeline, gates, dataset, version or config"
    parser.add_argument("kind", metavar="KIND", help=kinds)


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app.schema import schema_of

    out.json(schema_of(args.kind))
    return 0
