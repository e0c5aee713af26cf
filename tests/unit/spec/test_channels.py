"""The channels of config.yaml: their values and defaults, and what is refused, such as a secret that is written out."""

from __future__ import annotations

from pathlib import Path

import pytest

from custody.app.configured import remember, remembered
from custody.domain.channels import CHANNELS, Channel
from custody.domain.monitors import Level
from custody.domain.spec import Config
from custody.spec.config import load_config
from tests.unit.spec.project import CONFIG, loaded

PATH = ".mlops/config.yaml"
SOUND = """\
channels:
  pager: {uses: webhook, with: {url: "env:PAGER_URL", secret: "env:PAGER_SECRET"}}
  team: {uses: slack, with: {url: "env:SLACK"}, level: warn}
  mail: {uses: email, with: {host: smtp.example.org, from: a@b.org, to: [c@d.org], password: "env:PASSWORD"}}
  log: {uses: file, with: {path: .mlops/state/alerts.jsonl}}
  issues: {uses: github, with: {repository: growth/models, token: "env:GITHUB_TOKEN"}, level: alert}
"""


def config(text: str) -> Config:
    found, problems = load_config(lambda _: (CONFIG + text).encode())
    assert found is not None, problems
    return found


def problems(channel: str) -> list[tuple[str, str]]:
    found = loaded({PATH: f"{CONFIG}channels:\n  pager: {channel}\n"}).problems
    return [(item.code, " ".join((item.message, item.label, *item.help))) for item in found]


def test_what_is_declared_becomes_values() -> None:
    found = config(SOUND).channels
    assert sorted(channel.uses for channel in found.values()) == sorted(CHANNELS)
    assert found["pager"] == Channel("webhook", {"url": "env:PAGER_URL", "secret": "env:PAGER_SECRET"}, Level.ALERT)
    levels = {name: str(channel.level) for name, channel in found.items()}
    assert levels == {"pager": "alert", "team": "warn", "mail": "alert", "log": "warn", "issues": "alert"}
    assert config("").channels == {}
    assert not [item for item in loaded({PATH: CONFIG + SOUND}).problems if item.place and item.place.path == PATH]


@pytest.mark.parametrize(
    ("channel", "words"),
    [
        ('{uses: webhook, with: {url: "https://x.example", secret: hunter2hunter2}}', "env:"),
        ('{uses: webhook, with: {url: "https://u:p@x.example"}}', "url"),
        ('{uses: webhook, with: {url: "http://x.example"}}', "url"),
        ("{uses: webhook}", 'has no "url"'),
        ('{uses: slack, with: {url: "https://hooks.slack.example/T/B/X"}}', "env:"),
        ("{uses: github, with: {repository: growth/models, token: ghp_0123456789}}", "env:"),
        ("{uses: email, with: {host: h, from: a@b, to: [c@d], password: secret123}}", "env:"),
        ("{uses: file, with: {path: ../out.jsonl}}", "path"),
        ("{uses: file, with: {path: /etc/passwd}}", "path"),
        ("{uses: pigeon}", "pigeon"),
        ('{uses: webhok, with: {url: "env:URL"}}', "webhook"),
        ('{uses: webhook, with: {url: "env:URL", retries: 3}}', "retries"),
        ('{uses: webhook, with: {url: "env:URL"}, level: off}', "level"),
        ('{with: {url: "env:URL"}}', "uses"),
    ],
)
def test_what_is_refused(channel: str, words: str) -> None:
    found = problems(channel)
    assert found
    assert words in " ".join(text for _, text in found)


def test_they_are_remembered_as_they_were_read(tmp_path: Path) -> None:
    data = (CONFIG + SOUND).encode()
    read = config(SOUND)
    remember(tmp_path, data, read)
    known = remembered(tmp_path, data)
    assert known is not None
    assert known.channels == read.channels
