"""From judged windows to messages: records, pages, the outbox, and what became of a message."""

from __future__ import annotations

import json
from pathlib import Path

from tests.integration.alerting import NULLS, Alerting, day

FILE = "  pager: {uses: file, with: {path: alerts.jsonl}}\n"


def test_one_incident_one_page_and_its_end(tmp_path: Path) -> None:
    made = Alerting.create(tmp_path, FILE)
    (opened,) = made.judge(day(20, NULLS))
    assert (opened.pages, opened.to) == (1, ("pager",))
    assert made.deliver().sent
    assert made.judge(day(21, NULLS)) == ()
    assert made.update(["risk"]) == ()
    assert made.judge(day(22), day(23))[0].firing is False
    made.deliver()
    lines = [json.loads(line) for line in (made.repository.root / "alerts.jsonl").read_text().splitlines()]
    assert [(item["action"], item["revision"]) for item in lines] == [("trigger", 1), ("resolve", 2)]
