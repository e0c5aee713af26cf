"""`custody data`: add a version of a dataset, show one, list them, verify one."""

from __future__ import annotations

import argparse
from pathlib import Path

from custody.cli.output import Output
from custody.errors import UsageError

HELP = "add, show, list and verify versions of datasets"
EXAMPLES = """\
examples:
  custody data add customers data/customers.csv             the next version from a file
  custody data add customers --from-source                  the next version from the declared source
  custody data add customers c.csv --owner crm --purpose retention --key id --personal email
                                                            a dataset that is not declared yet
  custody data show customers@v1
  custody data versions customers
  custody data refresh                                      new data of a source becomes a version; then apply
  custody data refresh --due                                for jobs: only where a model's `schedule` has fired
  custody data verify customers --source                    also against the source as it is now

exit codes: 0 done, 1 the data does not keep its contract or is damaged, 4 the source lies where it may not be read"""

DAMAGED, PARTLY = 1, 7


def configure(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    add = commands.add_parser("add", help="add a version", description="Add an immutable version of a dataset.")
    add.add_argument("name", metavar="NAME", help="the dataset")
    add.add_argument("rest", nargs="*", metavar="[VERSION] PATH", help="the file; the label, default the next vN")
    add.add_argument("--from-source", action="store_true", help="read the source that dataset.yaml declares")
    add.add_argument("--owner", metavar="TEAM", help="of a new dataset: who answers for it")
    add.add_argument("--purpose", action="append", default=[], metavar="WORD", help="what it may be used for")
    add.add_argument("--key", metavar="COLUMN", help="of a new dataset: the column that tells rows apart")
    add.add_argument("--time", metavar="COLUMN", help="of a new dataset: when a row was true")
    add.add_argument("--personal", action="append", default=[], metavar="COLUMN", help="is dropped, never stored")
    add.add_argument("--sensitive", action="append", default=[], metavar="COLUMN", help="is kept for slices only")
    add.add_argument("--null", action="append", default=[], metavar="TEXT", help="of a new dataset: means missing")
    refresh = commands.add_parser("refresh", help="read sources again: new data becomes a version")
    refresh.add_argument("names", nargs="*", metavar="NAME", help="default: what models refer to as @latest")
    refresh.add_argument("--due", action="store_true", help="only where the schedule of a model has fired")
    for name, help_ in (("show", "show a version"), ("verify", "check a version's record, bytes and digests")):
        command = commands.add_parser(name, help=help_)
        command.add_argument("name", metavar="NAME[@VERSION]", help="default: the latest version")
        if name == "verify":
            command.add_argument("--source", action="store_true", help="read the source too and compare")
    listing = commands.add_parser("versions", help="list the versions of a dataset")
    listing.add_argument("name", metavar="NAME", help="the dataset")


def run(args: argparse.Namespace, out: Output) -> int:
    from custody.app import versions
    from custody.app.project import open_project
    from custody.cli.views import data as view

    if args.command == "add":
        return _add(args, out)
    if args.command == "refresh":
        return _refresh(args, out)
    project = open_project(out.directory)
    match args.command:
        case "show":
            shown = versions.show(project, args.name)
            out.json(view.shown_json(shown)) if out.json_mode else out.result(view.shown_text(shown))
        case "versions":
            found = versions.versions(project, args.name)
            out.json([view.line_json(item) for item in found]) if out.json_mode else out.result(view.list_text(found))
        case _:
            label, checks = versions.verify(project, args.name, source=args.source)
            out.json(view.checks_json(label, checks)) if out.json_mode else out.result(view.checks_text(checks))
            return DAMAGED if any(check.status == "bad" for check in checks) else 0
    return 0


def _add(args: argparse.Namespace, out: Output) -> int:
    from custody.app.data import Addition, add
    from custody.app.project import open_project
    from custody.cli.views import data as view
    from custody.git.identity import find_identity

    project = open_project(out.directory)
    version, path = _what(args, out.directory)
    added = add(
        project,
        Addition(
            name=args.name,
            path=path,
            by=find_identity(project.worktree.repository).actor,
            version=version,
            owner=args.owner,
            purposes=tuple(args.purpose),
            key=args.key,
            time=args.time,
            personal=tuple(args.personal),
            sensitive=tuple(args.sensitive),
            nulls=tuple(args.null),
        ),
    )
    if out.json_mode:
        out.json(view.added_json(added))
        return 0
    out.result(view.added_text(added))
    for line in view.added_remarks(added):
        out.say(line)
    return 0


def _refresh(args: argparse.Namespace, out: Output) -> int:
    from custody.app.project import open_project
    from custody.app.refresh import refresh
    from custody.cli.main import error_text
    from custody.cli.views import data as view
    from custody.git.identity import find_identity

    project = open_project(out.directory)
    found = refresh(project, args.names, find_identity(project.worktree.repository).actor, due=args.due)
    if out.json_mode:
        out.json([view.refreshed_json(item) for item in found])
    else:
        out.result(view.refreshed_text(found, due=args.due))
    for item in found:
        if item.error:
            out.complain(error_text(item.error))
    failed = sum(item.error is not None for item in found)
    return 0 if not failed else DAMAGED if failed == len(found) else PARTLY


def _what(args: argparse.Namespace, directory: Path) -> tuple[str | None, Path | None]:
    """Return (version, path) of `NAME [VERSION] (PATH | --from-source)`."""
    rest = list(args.rest)
    if args.from_source:
        if len(rest) > 1:
            message = "give a path or --from-source, not both"
            raise UsageError(message, code="E640", help=(f"custody data add {args.name} --from-source",))
        return (rest[0] if rest else None), None
    if not rest or len(rest) > 2:  # noqa: PLR2004
        message = "expected NAME [VERSION] PATH, or NAME [VERSION] --from-source"
        raise UsageError(message, code="E640", help=(f"custody data add {args.name} data/{args.name}.csv",))
    return (rest[0] if len(rest) > 1 else None), directory / rest[-1]
