"""Which files of a repository a plan can depend on."""

from __future__ import annotations

from collections.abc import Iterable

from custody.app.project import CONFIG
from custody.domain.spec import PROFILES, Spec


def relevant(paths: Iterable[str], spec: Spec) -> tuple[str, ...]:
    """Return those of `paths` that a plan can depend on: specs, profiles, code, extensions and the config."""
    config = spec.config
    folders = (config.models, config.datasets, PROFILES, *config.extensions)
    roots = tuple(f"{folder.rstrip('/')}/" for folder in folders)
    return tuple(
        path for path in paths if path == CONFIG or (path.startswith(roots) and path.endswith((".yaml", ".py")))
    )
