"""What is recorded of the process."""

from __future__ import annotations

import json
import sys

import pytest

from custody.kit.environment import THREADS, describe, distributions


def test_the_imported_distributions_are_named_with_versions() -> None:
    import numpy as np
    import pyarrow as pa
    import sklearn
    import yaml

    found = distributions()
    for item in (
        f"numpy=={np.__version__}",
        f"pyarrow=={pa.__version__}",
        f"scikit-learn=={sklearn.__version__}",
        f"pyyaml=={yaml.__version__}",
    ):
        assert item in found
    assert list(found) == sorted(found, key=str.lower)
    assert "duckdb" in sys.modules or not any(item.startswith("duckdb==") for item in found)


def test_no_secret_of_the_environment_gets_into_the_description(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "canary-4711")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("MKL_NUM_THREADS", "canary-4711")
    described = describe()
    assert "canary-4711" not in json.dumps(described)
    assert described["threads"]["OMP_NUM_THREADS"] == 1
    assert set(described["threads"]) <= set(THREADS)
    assert described["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"prefix", "num_threads"} <= set(described["threadpools"][0])
