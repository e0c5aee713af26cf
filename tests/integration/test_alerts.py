"""From judged windows to messages: records, pages, the outbox, and what becomes of a message when a receiver fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from custody.app.doctor import doctor
from custody.app.outbox import outbox_of
from custody.domain.monitors import Level
from tests.integration.alerting import BIAS, DRIFT, NULLS, Alerting, day
from tests.integration.clones import clone, hosted
from tests.unit.kit.receivers import DROP, HANG, Receiver, receiving

CHANNELS = """\
  pager: {uses: webhook, with: {url: "env:PAGER_URL", secret: "env:PAGER_SECRET", timeout: 30}}
  log: {uses: file, with: {path: alerts.jsonl}}
"""
BOTH = "every: day\nalert: {channels: [pager, log], runbook: runbook.md}\n"
SECRET = "a-long-secret"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Alerting:
    return Alerting.create(tmp_path_factory.mktemp("alerts"), CHANNELS, {"models/risk/monitors.yaml": BOTH})


@pytest.fixture
def made(project: Alerting, tmp_path: Path) -> Alerting:
    return project.copy(tmp_path)


@pytest.fixture
def receiver(made: Alerting) -> Iterator[Receiver]:
    with receiving() as found:
        made.environ = {"PAGER_URL": found.url, "PAGER_SECRET": SECRET}
        yield found


def lines(made: Alerting) -> list[dict[str, Any]]:
    path = made.repository.root / "alerts.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def said(receiver: Receiver) -> list[tuple[str, int]]:
    return [(item.json["action"], item.json["revision"]) for item in receiver.got]


@pytest.fixture(scope="module")
def waiting(project: Alerting, tmp_path_factory: pytest.TempPathFactory) -> Alerting:
    """Ten incidents that came and went, one day of bad nulls each: 20 messages that nobody has sent."""
    made = project.copy(tmp_path_factory.mktemp("waiting"))
    for number in range(1, 30, 3):
        made.judge(day(number, NULLS))
        made.judge(day(number + 1), day(number + 2))
    return made


def keys_of(made: Alerting) -> list[str]:
    return [item.message.key for item in outbox_of(made.project).all() if item.channel == "pager"]


def test_one_incident_is_one_page_and_its_end_is_said_once(made: Alerting, receiver: Receiver) -> None:
    (opened,) = made.judge(day(20, NULLS))
    assert (opened.pages, opened.to) == (1, ("log", "pager"))
    made.deliver()
    assert made.judge(day(21, NULLS)) == ()
    assert made.update(["risk"]) == ()
    assert not made.deliver().sent
    (over,) = made.judge(day(22), day(23))
    assert not over.firing
    made.deliver()
    assert said(receiver) == [("trigger", 1), ("resolve", 2)]
    assert [item["title"] for item in lines(made)] == [
        "alert risk: nulls income 0.31 > 0.1 since 2026-11-20 (pages risk)",
        "resolved risk: nulls income 0.31 > 0.1, 2026-11-20 to 2026-11-21",
    ]
    assert made.repository.subjects()[1:] == [
        "monitor: 1 windows",
        "alert risk: nulls income 0.31 > 0.1 since 2026-11-20 (pages risk)",
        f"told log, pager of incident {opened.id}",
        "monitor: 1 windows",
        "monitor: 2 windows",
        "resolved risk: nulls income 0.31 > 0.1, 2026-11-20 to 2026-11-21",
        f"told log, pager of incident {opened.id}",
    ]


def test_the_screen_goes_with_the_message_and_no_secret_anywhere(made: Alerting, receiver: Receiver) -> None:
    made.judge(day(20, NULLS))
    made.deliver()
    text = receiver.got[0].json["text"]
    assert "models/risk/runbook.md at" in text
    assert "Call lending first." in text
    assert SECRET not in made.repository.git("log", "-p", "mlops/ledger")
    assert receiver.url not in made.repository.git("log", "-p", "mlops/ledger")
    assert SECRET.encode() not in (made.repository.root / ".git/custody/outbox.db").read_bytes()


def test_drift_of_inputs_is_a_ticket_and_pages_nobody(made: Alerting, receiver: Receiver) -> None:
    made.judge(day(20, DRIFT))
    (opened,) = made.judge(day(21, DRIFT))
    assert (opened.level, opened.pages, opened.to) == (Level.WARN, 0, ("log",))
    made.deliver()
    assert (said(receiver), len(lines(made))) == ([], 1)
    (risen,) = made.judge(day(22, DRIFT, replace(BIAS, at_once=True)))
    assert (risen.level, risen.pages, risen.to) == (Level.ALERT, 1, ("log", "pager"))


def test_it_is_said_again_after_a_day_unless_somebody_has_taken_it_on(made: Alerting, receiver: Receiver) -> None:
    (opened,) = made.judge(day(20, NULLS))
    made.later(hours=23)
    assert made.update(["risk"]) == ()
    made.later(hours=1)
    (again,) = made.update(["risk"])
    assert (again.revision, again.pages) == (2, 2)
    made.flag("ack", opened.id)
    made.later(hours=25)
    assert made.update(["risk"]) == ()
    made.flag("ack", opened.id, "--off")
    assert made.update(["risk"])[0].pages == 3
    made.deliver()
    assert said(receiver) == [("trigger", 1), ("trigger", 2), ("trigger", 3)][-len(said(receiver)) :]


def test_what_is_silenced_is_recorded_and_sends_nothing_until_the_silence_ends(
    made: Alerting, receiver: Receiver
) -> None:
    made.flag("silence", "risk|nulls", "--until", "2d", "--reason", "known")
    (opened,) = made.judge(day(20, NULLS))
    assert (opened.to, opened.pages) == ((), 0)
    made.later(hours=47)
    assert made.update(["risk"]) == ()
    made.later(hours=2)
    (told,) = made.update(["risk"])
    assert (told.to, told.pages) == (("log", "pager"), 1)
    made.deliver()
    assert said(receiver) == [("trigger", 2)]


@pytest.mark.parametrize("trouble", [500, DROP, HANG])
def test_a_receiver_that_is_down_for_ten_minutes_misses_nothing(
    waiting: Alerting, tmp_path: Path, trouble: Any
) -> None:
    made = waiting.copy(tmp_path)
    keys = keys_of(made)
    with receiving() as receiver:
        made.environ = {"PAGER_URL": receiver.url, "PAGER_SECRET": SECRET}
        receiver.always = trouble
        # a receiver that is silent must not cost the test half a minute each time
        config = (made.repository.root / ".mlops/config.yaml").read_text(encoding="utf-8")
        made.repository.write(".mlops/config.yaml", config.replace("timeout: 30", "timeout: 0.05"))
        for _ in range(5):
            made.deliver()
            made.later(minutes=2)
        receiver.always, receiver.answers = 200, [DROP] * 3
        made.repository.write(".mlops/config.yaml", config)
        before = len(receiver.got)
        for _ in range(5):
            made.deliver()
            made.later(minutes=16)
    assert set(receiver.keys) == set(keys), "nothing is lost, and nothing is made up"
    assert len(set(keys)) == 20
    after = receiver.got[before:]
    assert len(after) == 20 + 3, "three answers were lost, and those messages came again with the same keys"
    assert not [item for item in outbox_of(made.project).all() if item.waiting]
    for incident in {item.json["incident"] for item in after}:
        revisions = [item.json["revision"] for item in after if item.json["incident"] == incident]
        assert revisions == sorted(revisions), "an incident is heard of in order"


def test_a_receiver_that_asks_for_patience_gets_it(made: Alerting, receiver: Receiver) -> None:
    receiver.answers = [(429, {"Retry-After": "1200"})]
    made.judge(day(20, NULLS))
    made.deliver()
    made.later(minutes=19)
    made.deliver()
    assert len(receiver.got) == 1
    made.later(minutes=2)
    made.deliver()
    assert receiver.keys[0] == receiver.keys[1]


def test_what_a_receiver_refuses_is_given_up_and_doctor_says_so(made: Alerting, receiver: Receiver) -> None:
    receiver.always = 404
    made.judge(day(20, NULLS))
    assert [item.dead for item in made.deliver().dead] == ["the receiver refuses it with 404"]
    made.later(hours=1)
    assert not made.deliver().dead
    assert len(receiver.got) == 1
    (check,) = [item for item in doctor(made.project) if item.name == "alerts"]
    assert (str(check.standing), check.help) == ("fail", "custody incident deliver --again")
    receiver.always = 200
    made.deliver(again=True)
    assert len(set(receiver.keys)) == 1
    assert [str(item.standing) for item in doctor(made.project) if item.name == "alerts"] == ["ok"]


def test_after_a_day_a_message_is_given_up(made: Alerting, receiver: Receiver) -> None:
    receiver.always = 500
    made.judge(day(20, NULLS))
    made.deliver()
    for _ in range(5):
        made.later(hours=6)
        made.deliver()
    found = [item for item in outbox_of(made.project).all() if item.channel == "pager"]
    assert [item.dead for item in found] == ["not delivered within a day: the receiver answers 500"]


def test_a_variable_that_is_not_set_waits_for_a_machine_that_has_it(made: Alerting, receiver: Receiver) -> None:
    kept, made.environ = made.environ, {}
    made.judge(day(20, NULLS))
    assert [item.error for item in made.deliver().failed] == ["the variable PAGER_URL is not set here"]
    made.environ = kept
    made.later(minutes=2)
    made.deliver()
    assert said(receiver) == [("trigger", 1)]


def test_settings_that_nobody_checked_are_given_up_and_tell_no_secret(made: Alerting, receiver: Receiver) -> None:
    made.judge(day(20, NULLS))
    config = made.repository.root / ".mlops/config.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace('url: "env:PAGER_URL", ', ""), encoding="utf-8")
    (dead,) = made.deliver().dead
    assert dead.dead == "the settings of the channel pager do not fit: custody check tells more"
    assert receiver.got == []


def test_a_lost_outbox_is_filled_again_and_says_only_what_has_not_arrived(made: Alerting, receiver: Receiver) -> None:
    made.judge(day(17, NULLS))
    made.judge(day(18), day(19))
    made.deliver()
    receiver.always = 500
    made.judge(day(20, NULLS))
    made.deliver()
    key = receiver.keys[-1]
    outbox = made.repository.root / ".git/custody/outbox.db"
    for loss in (outbox.unlink, lambda: outbox.write_bytes(b"damaged" * 1000)):
        loss()
        receiver.got.clear()
        made.deliver()
        assert receiver.keys == [key]
    outbox.unlink()
    receiver.got.clear()
    made.later(hours=25)
    made.deliver()
    assert receiver.got == [], "what is older than a day is not sent"


def test_a_process_that_dies_after_the_record_is_made_up_for(made: Alerting, receiver: Receiver) -> None:
    made.judge(day(20, NULLS))
    (made.repository.root / ".git/custody/outbox.db").unlink()
    made.deliver()
    assert said(receiver) == [("trigger", 1)]


def test_several_processes_send_a_message_once(waiting: Alerting, tmp_path: Path) -> None:
    made = waiting.copy(tmp_path)
    with receiving() as receiver, ThreadPoolExecutor(4) as pool:
        made.environ = {"PAGER_URL": receiver.url, "PAGER_SECRET": SECRET}
        done = [pool.submit(made.deliver) for _ in range(4)]
        sent = [item.message.key for delivery in done for item in delivery.result().sent if item.channel == "pager"]
    assert sorted(sent) == sorted(keys_of(made)) == sorted(receiver.keys)


def test_a_message_that_somebody_died_with_is_sent_when_the_lease_is_over(made: Alerting, receiver: Receiver) -> None:
    made.judge(day(20, NULLS))
    outbox = outbox_of(made.project)
    for _ in range(2):
        outbox.take(made.now.timestamp(), 300.0)
    assert not made.deliver().sent
    made.later(minutes=5)
    assert len(made.deliver().sent) == 2
    assert len(receiver.got) == 1


def test_a_channel_that_is_gone_is_given_up(made: Alerting, receiver: Receiver) -> None:
    made.judge(day(20, NULLS))
    made.repository.write(
        ".mlops/config.yaml", made.repository.git("show", "HEAD:.mlops/config.yaml").split("channels")[0]
    )
    assert {item.dead for item in made.deliver().dead} == {
        "there is no channel log in .mlops/config.yaml",
        "there is no channel pager in .mlops/config.yaml",
    }
    assert receiver.got == []


def test_a_training_run_that_fails_alerts_and_the_next_that_passes_ends_it(project: Alerting, tmp_path: Path) -> None:
    made = project.copy(tmp_path)
    repository = made.repository
    with receiving() as receiver:
        repository.environment = {"PAGER_URL": receiver.url, "PAGER_SECRET": SECRET}
        repository.edit("models/risk/gates.yaml", "min: 0.55", "min: 0.999")
        done = repository.apply("risk")
        assert done.code == 4, done.err
        assert "incident" in done.out
        repository.edit("models/risk/gates.yaml", "min: 0.999", "min: 0.55")
        assert repository.apply("risk").code == 0
    assert [item.json["action"] for item in receiver.got] == ["trigger", "resolve"]
    assert receiver.got[0].json["title"].startswith("alert risk: run rejected since 20")
    (incident,) = made.incidents()
    assert not incident.firing
    assert incident.subject == "model:risk"


@pytest.fixture
def clones(tmp_path: Path) -> Iterator[tuple[Alerting, Alerting, Receiver]]:
    """Two clones of a project whose ledger is shared, as two runners have them, and a receiver that both know."""
    ours = Alerting.create(tmp_path, CHANNELS, {"models/risk/monitors.yaml": BOTH})
    config = (ours.repository.root / ".mlops/config.yaml").read_text(encoding="utf-8")
    ours.repository.write(".mlops/config.yaml", config.replace("channels:", "remote: origin\nchannels:"))
    ours.repository.commit("Share the ledger")
    host = hosted(ours.repository, tmp_path)
    ours.share()
    with receiving() as receiver:
        ours.environ = {"PAGER_URL": receiver.url, "PAGER_SECRET": SECRET}
        yield ours, replace(ours, repository=clone(ours.repository, host, tmp_path / "theirs")), receiver


def test_a_fresh_clone_does_not_say_again_what_arrived_and_says_what_did_not(
    clones: tuple[Alerting, Alerting, Receiver],
) -> None:
    ours, theirs, receiver = clones
    theirs.share()
    ours.judge(day(17, NULLS))
    assert not ours.deliver().unshared
    ours.judge(day(18), day(19))
    kept, ours.environ = ours.environ, {}
    ours.deliver()
    ours.share()
    assert said(receiver) == [("trigger", 1)]
    assert not theirs.deliver().sent, "the one that recorded it is given some minutes"
    theirs.later(minutes=11)
    theirs.deliver()
    assert said(receiver) == [("trigger", 1), ("resolve", 2)]
    ours.environ = kept
    ours.share()
    ours.later(minutes=11)
    (ours.repository.root / ".git/custody/outbox.db").unlink()
    ours.deliver()
    assert len(receiver.got) == 2


def test_two_clones_that_judged_apart_agree_on_one_incident(clones: tuple[Alerting, Alerting, Receiver]) -> None:
    ours, theirs, _ = clones
    theirs.share()
    ours.judge(day(20, NULLS))
    theirs.judge(day(20, NULLS))
    ours.share()
    theirs.share()
    ours.share()
    assert ours.update(["risk"]) == theirs.update(["risk"]) == ()
    assert [item.to_dict() for item in ours.incidents()] == [item.to_dict() for item in theirs.incidents()]
    assert len(ours.incidents()) == 1


def test_what_people_type(made: Alerting) -> None:
    custody = made.repository.here
    assert custody("incident").out == "No incident is open, and none was ever recorded.\n"
    (incident,) = made.judge(day(20, NULLS))
    assert incident.id in custody("incident").out
    assert custody("incident", incident.id[:6], "--json").json["id"] == incident.id
    wrong = custody("incident", "0000")
    assert wrong.code == 64
    assert f"did you mean {incident.id}?" in wrong.err
    assert f"did you mean {incident.id}?" in custody("ack", "risk").err
    taken = custody("ack", incident.id, "--until", "2h", "--reason", "at it", "--json")
    assert (taken.json["match"], taken.json["reason"], taken.json["shared"]) == (incident.id, "at it", True)
    assert "taken by Ann" in custody("incident").out
    assert custody("ack", incident.id, "--off").code == 0
    assert custody("ack", incident.id, "--off").code == 64
    for arguments, words in (
        (("risk|nulls",), "an end and a reason"),
        (("risk|nulls", "--until", "31d", "--reason", "x"), "within 30 days"),
        (("risk|nulls", "--until", "2001-01-01", "--reason", "x"), "is past"),
        (("risk|nulls", "--until", "soon", "--reason", "x"), "no time and no span"),
        (("rsk|nulls", "--until", "1d", "--reason", "x"), "did you mean risk|nulls?"),
        (("risk|a|b|c|d", "--until", "1d", "--reason", "x"), "no MODEL|MONITOR|COLUMN|METRIC"),
    ):
        refused = custody("silence", *arguments)
        assert refused.code == 64
        assert words in refused.err
    assert (
        custody("silence", incident.id[:8], "--until", "1d", "--reason", "known", "--json").json["match"] == incident.id
    )
    assert "silenced" in custody("incident").out
    story = custody("postmortem", incident.id, "--json").json["story"]
    assert [item["text"].split(" ")[0] for item in story if item["commit"]] == ["alert", "acknowledge", "acknowledge"]
    made.judge(day(21), day(22))
    assert custody("incident").out.startswith("No incident is open. 1 incident")
    assert custody("ack", incident.id).code == 64
