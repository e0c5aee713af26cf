"""`schema`: the JSON Schemas of the spec files, for editors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from custody.app.editor import SETTINGS, schema_files, write_schemas, write_settings
from custody.app.project import Project
from custody.spec.schema import KINDS, schema

__all__ = ["KINDS", "Written", "schema_of", "write"]


@dataclass(frozen=True, slots=True)
class Written:
    """Whether schemas and settings were changed, and the entries of the settings where they must be made by hand."""

    schemas: bool
    settings: bool
    by_hand: Mapping[str, list[str]]


def schema_of(kind: str) -> Mapping[str, Any]:
    """Return the schema (draft-07) of `kind`; raises UsageError where there is no such kind."""
    return schema(kind)


def write(project: Project) -> Written:
    """Write the schemas of this version into the project, and name them in the settings of VS Code."""
    schemas = write_schemas(project.root)
    settings = write_settings(project.root, project.config)
    path = project.root / SETTINGS
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    missing = {name: files for name, files in schema_files(project.config).items() if f'"{name}"' not in text}
    return Written(schemas, settings, missing)
