"""Editor settings: the JSON Schemas in the project, and which files they are for, as VS Code's YAML extension reads it.

What a user has set is never changed: entries are added to settings that are plain JSON, all else is left to the user.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from custody.domain.spec import MODEL_KINDS, PROFILES, Config
from custody.spec.schema import KINDS, for_editor

SCHEMAS = ".mlops/schemas"
SETTINGS = ".vscode/settings.json"
_KEY = "yaml.schemas"


def write_schemas(root: Path) -> bool:
    """Write the schemas of this version into the project; whether any was missing or another."""
    changed = False
    for kind in KINDS:
        path = root / SCHEMAS / f"{kind}.json"
        text = json.dumps(for_editor(kind), indent=2, ensure_ascii=False) + "\n"
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        changed = True
    return changed


def write_settings(root: Path, config: Config) -> bool:
    """Add the files of each schema to the settings of VS Code, where they do not name it yet; whether anything was."""
    path = root / SETTINGS
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError):
        return False
    merged = _merged(text, schema_files(config))
    if merged is None:
        return False
    path.parent.mkdir(exist_ok=True)
    path.write_text(merged, encoding="utf-8")
    return True


def schema_files(config: Config) -> dict[str, list[str]]:
    """Return the patterns of the files that each schema is for, by the schema's path."""
    patterns = {kind: [f"{config.models}/*/{kind}.yaml", f"{PROFILES}/*/{kind}.yaml"] for kind in MODEL_KINDS}
    patterns["dataset"] = [f"{config.datasets}/*/dataset.yaml"]
    patterns["version"] = [f"{config.datasets}/*/versions/*.yaml"]
    patterns["config"] = [".mlops/config.yaml"]
    return {f"./{SCHEMAS}/{kind}.json": patterns[kind] for kind in KINDS}


def _merged(text: str, wanted: Mapping[str, list[str]]) -> str | None:
    """Return the settings with what is missing; None where nothing is, or where they are not plain JSON."""
    try:
        settings: Any = json.loads(text) if text.strip() else {}
    except ValueError:
        return None  # comments are allowed there, and would be lost
    present = settings.get(_KEY, {}) if isinstance(settings, dict) else None
    if not isinstance(present, dict):
        return None
    missing = {schema: files for schema, files in wanted.items() if schema not in present}
    if not missing:
        return None
    return json.dumps({**settings, _KEY: {**present, **missing}}, indent=_indent(text), ensure_ascii=False) + "\n"


def _indent(text: str) -> int | str:
    second = next((line for line in text.splitlines()[1:] if line.strip()), "")
    return second[: len(second) - len(second.lstrip())] or 2
