"""What the process consists of that computed a result: recorded beside it, and no input of its key."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""The only variables of the environment that are ever read: a number each, or nothing."""


def describe() -> dict[str, Any]:
    """Return Python, platform, imported distributions, linear algebra libraries and thread settings."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": f"{platform.system()}-{platform.machine()}".lower(),
        "distributions": list(distributions()),
        "threadpools": list(_threadpools()),
        "threads": {name: int(value) for name in THREADS if (value := os.environ.get(name, "")).isdigit()},
    }


def distributions() -> tuple[str, ...]:
    """Return `name==version` of the installed distributions that this process has imported, sorted."""
    found = set[str]()
    for name, module in list(sys.modules.items()):
        if "." in name or module is None:
            continue
        site = _site(module)
        if site is not None:
            found.update(item for item in _installed(site) if name in _top_level(site, item))
    return tuple(sorted(found, key=str.lower))


def _site(module: Any) -> str | None:
    """Return the folder that a top-level module was installed into."""
    file = getattr(module, "__file__", None)
    if not isinstance(file, str):
        return None
    path = Path(file)
    folder = path.parent.parent if path.name.startswith("__init__.") else path.parent
    return str(folder)


@cache
def _installed(site: str) -> dict[str, str]:
    """Map `name==version` to the description folder of each distribution in a folder, from their names alone."""
    found = {}
    folders = os.scandir(site) if Path(site).is_dir() else ()
    for entry in folders:
        stem = entry.name.removesuffix(".dist-info")
        if stem != entry.name and "-" in stem:
            name, _, version = stem.rpartition("-")
            found[f"{name.replace('_', '-').lower()}=={version}"] = entry.path
    return found


@cache
def _top_level(site: str, item: str) -> frozenset[str]:
    """Return the top-level modules of a distribution, from its `top_level.txt` or its list of files."""
    folder = Path(_installed(site)[item])
    try:
        return frozenset((folder / "top_level.txt").read_text(encoding="utf-8").split())
    except OSError:
        return frozenset(_recorded(folder / "RECORD"))


def _recorded(record: Path) -> Iterator[str]:
    try:
        lines = record.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        head = line.partition(",")[0].partition("/")[0]
        if not head.endswith((".dist-info", ".data", ".libs")) and not head.startswith("."):
            yield head.partition(".")[0]


def _threadpools() -> Iterator[dict[str, Any]]:
    """Yield the BLAS and OpenMP libraries; their architecture decides the last bits of linear algebra."""
    import threadpoolctl

    for pool in sorted(threadpoolctl.threadpool_info(), key=lambda pool: str(pool.get("prefix"))):
        names = ("user_api", "internal_api", "prefix", "version", "architecture", "threading_layer", "num_threads")
        yield {name: pool[name] for name in names if pool.get(name) is not None}
