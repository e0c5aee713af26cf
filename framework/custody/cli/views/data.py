"""Dataset versions as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from custody.app.data import Added
from custody.app.refresh import Refreshed
from custody.app.versions import Check, Shown
from custody.cli.views.text import Tone, columns, one_line, plural
from custody.domain.spec import Manifest

_SHORT = 12
_TOP = 4
_KIB = 1024


def added_text(added: Added) -> str:
    """Return what was added in two lines, or that the same data is there already."""
    manifest = added.manifest
    name = f"{manifest.dataset}@{manifest.version}"
    if added.same:
        return f"same data as {name} (logical {manifest.logical[:_SHORT]}): nothing added"
    return "\n".join(
        [
            f"{Tone.GOOD('added')}  {Tone.STRONG(name)}   {_extent(manifest)}   logical {manifest.logical[:_SHORT]}",
            f"  from  {_origin(manifest)}",
            *(f"  wrote {path}" for path in added.written),
        ]
    )


def refreshed_text(found: Sequence[Refreshed], *, due: bool) -> str:
    """Return one line a dataset, and what follows."""
    if not found and due:
        return "Nothing is due: no schedule has fired since the newest version of its data was read"
    if not found:
        return "Nothing to do: no model refers to @latest of a dataset with a source"
    rows = [[one_line(item.dataset), *_refreshed(item)] for item in found]
    followed = [name for item in found if item.version for name in item.users]
    next_ = [f"Next: custody apply   ({plural(len(followed), 'model')}: {', '.join(followed)})"] if followed else []
    return "\n".join([*columns(rows), *next_])


def _refreshed(item: Refreshed) -> tuple[str, str]:
    before = f"{item.dataset}@{item.latest}" if item.latest else "nothing"
    if item.error:
        return Tone.BAD("failed"), ""
    if item.version is None:
        return "no new data", f"the same as {one_line(before)}"
    return Tone.GOOD("new data"), one_line(f"{item.dataset}@{item.version}, {item.rows or 0:,} rows, after {before}")


def refreshed_json(item: Refreshed) -> dict[str, Any]:
    """Return the same facts."""
    return {
        "dataset": item.dataset,
        "version": item.version,
        "latest": item.latest,
        "rows": item.rows,
        "models": list(item.users),
        "error": {"code": item.error.code, "message": item.error.message} if item.error else None,
    }


def added_remarks(added: Added) -> Iterator[str]:
    """Yield warnings, the block to paste and the next commands, a text each."""
    for warning in added.warnings:
        yield f"{Tone.WARN('warning')}: {one_line(warning)}"
    if added.block:
        yield "types were guessed for columns that dataset.yaml does not declare; to keep them, put there:"
        yield added.block.rstrip()
    if added.written:
        files = " ".join(added.written)
        name = f"{added.manifest.dataset}@{added.manifest.version}"
        folder = added.written[-1].rpartition("/versions/")[0]
        yield f"Next: git add {folder} && git commit -m 'data {name}'"
        yield "      custody plan"
        yield f"Undo: rm {files}   (before it is committed)"


def added_json(added: Added) -> dict[str, Any]:
    """Return the facts of an addition."""
    return {
        "added": bool(added.written),
        "same_as": f"{added.manifest.dataset}@{added.manifest.version}" if added.same else None,
        "version": manifest_json(added.manifest),
        "written": list(added.written),
        "columns_block": added.block or None,
        "warnings": list(added.warnings),
    }


def manifest_json(manifest: Manifest) -> dict[str, Any]:
    """Return all that a manifest says."""
    return {
        "dataset": manifest.dataset,
        "version": manifest.version,
        "rows": manifest.rows,
        "logical": manifest.logical,
        "files": [{"path": file.path, "size": file.size, "sha256": file.sha256} for file in manifest.files],
        "source": dict(manifest.source),
        "as_of": manifest.as_of,
        "by": manifest.by,
        "parent": manifest.parent,
        "columns": {name: dict(facts) for name, facts in manifest.columns.items()},
    }


def shown_json(shown: Shown) -> dict[str, Any]:
    """Return the facts of one version."""
    dataset = shown.dataset
    around = {
        "owner": dataset.owner,
        "purposes": list(dataset.purposes),
        "classification": dataset.classification,
        "stored": shown.stored,
        "recorded": shown.recorded,
        "used": list(shown.used),
    }
    return {**manifest_json(shown.manifest), **around}


def line_json(shown: Shown) -> dict[str, Any]:
    """Return the facts of one version in a list."""
    facts = manifest_json(shown.manifest)
    del facts["columns"]
    return {**facts, "stored": shown.stored, "recorded": shown.recorded}


def shown_text(shown: Shown) -> str:
    """Return one version: a headline, where it comes from, who uses it, and a line a column."""
    manifest, dataset = shown.manifest, shown.dataset
    name = Tone.STRONG(f"{manifest.dataset}@{manifest.version}")
    here = "here" if shown.stored else "not here: the next custody apply fetches it"
    ledger = "recorded in the ledger" if shown.recorded else "not recorded in the ledger yet"
    lines = [
        f"{name}   {_extent(manifest)}   {dataset.classification}   logical {manifest.logical[:_SHORT]}",
        f"  from    {_origin(manifest)}   by {_who(manifest)}   {manifest.as_of[:10]}",
        f"  used    {', '.join(shown.used) or 'by no model'}",
        f"  may be used for  {', '.join(dataset.purposes)}   owner {dataset.owner}",
        f"  stored  {here}   {ledger}",
        "",
    ]
    sensitive = {column.name for column in dataset.columns.values() if column.sensitive}
    rows = [_column(name, facts, manifest.rows, sensitive) for name, facts in manifest.columns.items()]
    return "\n".join([*lines, *columns(rows)])


def list_text(found: Sequence[Shown]) -> str:
    """Return a line a version, newest first."""
    if not found:
        return "no version yet"
    head = ["version", "rows", "columns", "logical", "as of", "by", "parent", "stored", "recorded"]
    return "\n".join(columns([head, *(_line(shown) for shown in found)], right=frozenset({1, 2})))


def checks_text(checks: Sequence[Check]) -> str:
    """Return a line a check, with its details below it."""
    tones = {"ok": Tone.GOOD, "bad": Tone.BAD, "note": Tone.WARN}
    lines = []
    for check in checks:
        lines.append(f"{tones[check.status](check.status.ljust(4))}  {one_line(check.text)}")
        lines += [f"      {one_line(detail)}" for detail in check.details]
    return "\n".join(lines)


def checks_json(label: str, checks: Sequence[Check]) -> dict[str, Any]:
    """Return the facts of a verification."""
    return {
        "version": label,
        "ok": all(check.status != "bad" for check in checks),
        "checks": [{"status": check.status, "text": check.text, "details": list(check.details)} for check in checks],
    }


def _extent(manifest: Manifest) -> str:
    size = sum(file.size for file in manifest.files)
    return f"{plural(manifest.rows, 'row')} x {len(manifest.stored_columns)}   {_size(size)} Parquet"


def _size(count: int) -> str:
    if count < _KIB:
        return f"{count} B"
    return f"{count / _KIB:.0f} KiB" if count < _KIB * _KIB else f"{count / _KIB / _KIB:.1f} MiB"


def _origin(manifest: Manifest) -> str:
    source = manifest.source
    raw = source.get("raw") or {}
    digest = f" (sha256 {str(raw['sha256'])[:_SHORT]})" if raw.get("sha256") else ""
    what = source.get("path") or source.get("url") or source.get("dataset") or ""
    return one_line(f"{source.get('uses')} {what}{digest}, {source.get('reader', '')}".rstrip(", "))


def _who(manifest: Manifest) -> str:
    """Return the name of who added it, without the address."""
    return one_line(manifest.by.partition(" <")[0])


def _column(name: str, facts: Mapping[str, Any], rows: int, sensitive: set[str]) -> list[str]:
    if facts.get("personal"):
        return ["  " + one_line(name), "personal", "not stored", ""]
    marks = " sensitive" if name in sensitive else ""
    nulls = int(facts.get("nulls", 0))
    missing = f"{nulls:,} nulls ({nulls / max(rows, 1):.2%})" if nulls else ""
    return ["  " + one_line(name), f"{facts.get('kind')}{marks}", _values(facts, rows), missing]


def _values(facts: Mapping[str, Any], rows: int) -> str:
    if top := facts.get("top"):
        shown = [f"{one_line(str(value))} {count / max(rows, 1):.2%}" for value, count in list(top.items())[:_TOP]]
        return ", ".join(shown) + (", …" if len(top) > _TOP or facts.get("distinct", 0) > len(top) else "")
    if "min" in facts and "max" in facts:
        mean = f", mean {facts['mean']:.6g}" if "mean" in facts else ""
        return f"{facts['min']} … {facts['max']}{mean}"
    return f"{facts.get('distinct', 0):,} distinct"


def _line(shown: Shown) -> list[str]:
    manifest = shown.manifest
    return [
        manifest.version,
        f"{manifest.rows:,}",
        str(len(manifest.stored_columns)),
        manifest.logical[:_SHORT],
        manifest.as_of[:16].replace("T", " "),
        _who(manifest),
        manifest.parent or "-",
        "here" if shown.stored else "-",
        "yes" if shown.recorded else "no",
    ]
