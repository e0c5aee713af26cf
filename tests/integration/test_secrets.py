"""What a step or custody itself says of a secret of the environment is on no disk, in no record and on no screen."""

from __future__ import annotations

import base64
import json
import urllib.parse
from pathlib import Path

import pytest

from tests.integration.repository import Repository

SECRET = "c4n/ary+42 dröp"
STEPS = """\
import base64, json, os, sys, urllib.parse, warnings
from sklearn.exceptions import ConvergenceWarning
from sklearn.tree import DecisionTreeClassifier

class Warns(DecisionTreeClassifier):
    def fit(self, X, y):
        warnings.warn(os.environ["DB_PASSWORD"], ConvergenceWarning)
        return super().fit(X, y)

def fit(ctx):
    secret = os.environ["DB_PASSWORD"]
    print(dict(os.environ))
    print(json.dumps({"password": secret}), urllib.parse.quote(secret, safe=""), "psql://ann:other-pass@db/x")
    print(base64.b64encode(b"ann:" + secret.encode()).decode(), file=sys.stderr, flush=True)
    os.system('echo $DB_PASSWORD')
    print("end of the output")
    if @FAILS:
        raise ValueError("cannot log in with " + secret)
    return Warns(max_depth=2, random_state=1)
"""


def canaries() -> list[bytes]:
    """Return parts of all forms of the secret that nothing else holds."""
    raw = SECRET.encode()
    quoted = urllib.parse.quote(SECRET, safe="")
    longer = base64.b64encode(b"ann:" + raw)[8:-4]
    return [raw, json.dumps(SECRET)[1:-1].encode(), quoted.encode(), base64.b64encode(raw), longer, b"other-pass"]


def leaks(project: Repository) -> list[str]:
    """Return the files and Git objects that hold the secret."""
    code = project.root / ".mlops" / "state" / "code"
    found = []
    for top in (project.root / ".mlops", project.root / ".git" / "custody"):
        for path in top.rglob("*"):
            if path.is_file() and not path.is_relative_to(code):
                data = path.read_bytes()
                found += [f"{path}: {canary!r}" for canary in canaries() if canary in data]
    names = project.git("for-each-ref", "--format=%(refname)", "refs/heads/mlops", "refs/notes").splitlines()
    shown = project.git("log", "-p", "--format=raw", *names).encode()
    return found + [f"Git: {canary!r}" for canary in canaries() if canary in shown]


@pytest.mark.parametrize("engine", ["inline", pytest.param("prefect", marks=pytest.mark.slow)])
def test_no_secret_is_kept_or_shown(tmp_path: Path, engine: str) -> None:
    project = Repository.create(tmp_path, {"models/risk/pipeline.yaml": 'train: {uses: "./steps.py:fit"}\nseed: 1\n'})
    project.environment["DB_PASSWORD"] = SECRET
    project.git("rm", "-rq", "models/debt")
    project.write("models/risk/steps.py", STEPS.replace("@FAILS", "True"))
    project.commit("Train by own code that fails")
    failed = project.apply(engine=engine)
    assert failed.code == 1
    assert project.run_json("risk")["failure"]["error"] == "models/risk/steps.py:18: ValueError: cannot log in with ***"
    log = next((project.root / ".mlops/state/logs").rglob("train.log")).read_text()
    assert log.count("***") >= 6
    assert "end of the output" in log
    project.write("models/risk/steps.py", STEPS.replace("@FAILS", "False"))
    project.commit("Train by own code")
    done = project.apply("--json", engine=engine)
    assert done.code == 0, done.err
    assert project.run_json("risk")["steps"]["train"]["output"]["facts"]["warnings"] == ["***"]
    shown = [project.custody(*words) for words in (("log",), ("show", "risk"), ("trace", "risk"), ("comment",))]
    for result in (failed, done, *shown):
        assert not [canary for canary in canaries() if canary in (result.out + result.err).encode()]
    assert leaks(project) == []
    project.write(".mlops/state/logs/x.log", base64.b64encode(SECRET.encode()).decode())
    assert len(leaks(project)) == 1, "the test can fail"
