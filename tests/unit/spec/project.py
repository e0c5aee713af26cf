"""A small sound project as a mapping of paths to texts, and its loading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from custody.domain.problem import Problem
from custody.spec.load import Loaded, load

DIGEST = "8a15865a056efdbb" * 4
CONFIG = "spec: 1\nid: 6f1c6f5e-2c1b-4c8e-9d55-0d2f6a1b7e90\nextensions: [src]\n"
VERSION = f"""\
# written by custody; do not edit
format: 1
as_of: "2026-11-24T17:00:00Z"
by: crm-bot
rows: 7043
logical: "{DIGEST}"
files:
  - {{path: part-0.parquet, size: 139245, sha256: "{DIGEST}"}}
source: {{uses: file}}
columns:
  id: {{kind: integer, nulls: 0, distinct: 7043}}
  usage: {{kind: number, nulls: 0, distinct: 500}}
  plan: {{kind: string, nulls: 0, distinct: 3}}
  gender: {{kind: string, nulls: 0, distinct: 2}}
  churned: {{kind: boolean, nulls: 0, distinct: 2}}
  tier: {{kind: string, nulls: 0, distinct: 3}}
  signup: {{kind: date, nulls: 0, distinct: 900}}
  email: {{personal: true}}
"""
SOUND: Mapping[str, str] = {
    ".mlops/config.yaml": CONFIG,
    "models/churn/model.yaml": """\
owner: growth-ml
purpose: retention
task: classification
target: churned
positive: true
stages: {production: auto}
""",
    "models/churn/data.yaml": "dataset: customers@v4\nsplit: {by: signup, test: 0.2}\nfeatures: [usage, plan]\n",
    "models/churn/pipeline.yaml": """\
prepare: tabular
train:
  uses: sklearn.HistGradientBoostingClassifier
  with: {max_depth: 4, learning_rate: 0.1}
  timeout: 10m
  memory: 2GB
  retries: 1
seed: 7
""",
    "models/churn/gates.yaml": """\
metrics:
  roc_auc: {min: 0.82, max_drop: 0.01}
slices:
  gender: {metric: selection_rate, min_ratio: 0.8}
""",
    "datasets/customers/dataset.yaml": """\
owner: crm
classification: confidential
purposes: [retention, forecasting]
source: {uses: file, with: {path: data/customers.csv}}
key: id
time: signup
columns:
  churned: {type: boolean}
  gender: {sensitive: true}
  email: {personal: true}
""",
    "datasets/customers/versions/v3.yaml": VERSION,
    "datasets/customers/versions/v4.yaml": VERSION,
}
WATCHED = """\
every: day
min_rows: 300
schedule: "0 6 * * *"
live:
  uses: file
  with: {path: "live/*.parquet"}
  time: at
  id: prediction_id
  prediction: score
quality: {nulls: {max_rise: 0.2}, freshness: 26h, mode: off, range: alert}
drift:
  features: {stat: psi, limit: auto, ignore: [plan]}
  prediction: {severity: warn}
  reference: [training, customers@v3]
  confirm: 2 of 3
outcomes:
  uses: file
  with: {path: outcomes.csv}
  join: prediction_id
  observed: observed_at
  delay: 14d
  roc_auc: {min: 0.8, max_drop: 0.05}
  every: month
  bias: 0.04
  slices: [gender]
alert: {repeat: 12h, resolve_after: 3, runbook: runbook.md}
on_alert: {do: [notify, rollback], cooldown: 14d}
"""
"""A monitors.yaml that says nearly all that can be said; its runbook is beside it."""


def loaded(changes: Mapping[str, str | bytes | None] = {}) -> Loaded:
    """Load the sound project with some files changed, added, or (None) removed."""
    files = {path: text for path, text in {**SOUND, **changes}.items() if text is not None}

    def read(path: str) -> bytes | None:
        text = files.get(path)
        return text.encode() if isinstance(text, str) else text

    def below(folder: str) -> Iterable[str]:
        return sorted(path for path in files if path.startswith(f"{folder}/"))

    return load(read, below)


def problems(path: str, text: str | bytes | None) -> list[Problem]:
    """Return the problems of the sound project with one file changed."""
    return list(loaded({path: text}).problems)


def codes(path: str, text: str | bytes | None) -> list[tuple[str, str]]:
    """Return (code, place within the file) of the problems."""
    return [(problem.code, f"{problem.place}".removeprefix(f"{path}:")) for problem in problems(path, text)]
