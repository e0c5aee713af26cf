"""Loading `.mlops/config.yaml`."""

from __future__ import annotations

from custody.domain.problem import Problem
from custody.domain.revision import Read
from custody.domain.spec import Config
from custody.spec import build
from custody.spec.documents import Files, shown

CONFIG = ".mlops/config.yaml"


def load_config(read: Read) -> tuple[Config | None, tuple[Problem, ...]]:
    """Load `.mlops/config.yaml` alone; None where it has errors."""
    files = Files(read)
    config = config_of(files)
    return config, tuple(shown(problem, read) for problem in files.problems)


def config_of(files: Files) -> Config | None:
    """Return the configuration; None where it has errors, which are collected."""
    if files.read(CONFIG) is None:
        files.problems.append(Problem("E120", f"there is no {CONFIG}", help=("custody init",)))
        return None
    document = files.document("config", CONFIG)
    return build.config(document) if document else None
