"""The channels against real servers on this machine: what arrives, how it is signed, and what each answer means."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_string
from pathlib import Path
from typing import Any

import pytest

from custody.domain.channels import DeliveryError, Message
from custody.kit.channels import Sender, channel
from tests.unit.kit.issues import REPOSITORY, TOKEN, Host, hosting
from tests.unit.kit.receivers import DROP, HANG, Mailbox, Receiver, certificate, mailing, receiving

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECRET = "a-long-secret"
MESSAGE = Message(
    key="k1",
    incident="3f2a9c1b77aa",
    revision=1,
    action="trigger",
    level="alert",
    title="alert churn: nulls <plan> 0.31 > 0.1 since 2026-11-20 (pages growth)",
    text="ALERT churn\nowner growth & co",
    models=("churn",),
    owner="growth",
    since="2026-11-20T00:00:00+00:00",
    at="2026-11-24T12:00:00+00:00",
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("tls") / "server.pem")


@pytest.fixture
def mailbox(pem: Path) -> Iterator[Mailbox]:
    with mailing(pem) as made:
        yield made


def send(kind: str, root: Path, **settings: Any) -> None:
    channel(kind)(MESSAGE, settings, Sender(root, AT, "custody/0"))


def failure(kind: str, root: Path, **settings: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        send(kind, root, **settings)
    assert SECRET not in caught.value.reason
    return caught.value


def test_a_webhook_carries_the_message_its_key_and_a_signature_with_the_time(
    receiver: Receiver, tmp_path: Path
) -> None:
    send("webhook", tmp_path, url=receiver.url, secret=SECRET)
    (posted,) = receiver.got
    assert posted.json == MESSAGE.to_dict()
    assert posted.json["key"] == posted.headers["idempotency-key"] == "k1"
    seconds, signed = (part.partition("=")[2] for part in posted.headers["custody-signature"].split(","))
    assert seconds == str(int(AT.timestamp()))
    expected = hmac.new(SECRET.encode(), f"{seconds}.".encode() + posted.body, hashlib.sha256).hexdigest()
    assert signed == expected
    assert Message.from_dict(posted.json) == MESSAGE


def test_without_a_secret_nothing_is_signed(receiver: Receiver, tmp_path: Path) -> None:
    send("webhook", tmp_path, url=receiver.url)
    assert "custody-signature" not in receiver.got[0].headers


@pytest.mark.parametrize(
    ("answer", "again", "after"),
    [
        (500, True, None),
        (503, True, None),
        ((503, {"Retry-After": "120"}), True, 120.0),
        ((429, {"Retry-After": "30"}), True, 30.0),
        ((429, {"Retry-After": "Tue, 24 Nov 2026 12:05:00 GMT"}), True, 300.0),
        ((429, {"Retry-After": "soon"}), True, None),
        (408, True, None),
        (400, False, None),
        (404, False, None),
        (410, False, None),
        ((302, {"Location": "https://elsewhere.example"}), False, None),
        (DROP, True, None),
        (HANG, True, None),
    ],
)
def test_what_an_answer_means(receiver: Receiver, tmp_path: Path, answer: Any, again: Any, after: float | None) -> None:
    receiver.answers = [answer]
    error = failure("webhook", tmp_path, url=receiver.url, secret=SECRET, timeout=0.2)
    assert (error.again, error.after) == (again, after)
    assert len(receiver.got) == 1, "a redirect is not followed"
    assert receiver.url not in error.reason


def test_a_receiver_that_is_not_there_is_asked_again(tmp_path: Path) -> None:
    with receiving() as gone:
        url = gone.url
    assert failure("webhook", tmp_path, url=url).again


@pytest.mark.parametrize("url", ["http://example.org/x", "ftp://localhost/x", "nonsense", "https://[::1"])
def test_what_is_not_encrypted_is_not_sent(tmp_path: Path, url: str) -> None:
    assert not failure("webhook", tmp_path, url=url).again


def test_a_flood_as_answer_is_not_read(receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("custody.kit.channels.http.ANSWER", 1)
    assert "more than" in failure("webhook", tmp_path, url=receiver.url).reason


def test_slack_shows_text_in_which_nothing_is_a_mention(receiver: Receiver, tmp_path: Path) -> None:
    send("slack", tmp_path, url=receiver.url)
    (posted,) = receiver.got
    assert posted.json["text"].startswith("alert churn: nulls &lt;plan&gt; 0.31 &gt; 0.1")
    assert "growth &amp; co" in posted.json["blocks"][1]["text"]["text"]
    assert posted.headers["idempotency-key"] == "k1"


def test_a_file_gets_a_line_a_message(tmp_path: Path) -> None:
    for _ in range(2):
        send("file", tmp_path, path="out/alerts.jsonl")
    lines = (tmp_path / "out/alerts.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["key"] for line in lines] == ["k1", "k1"]


def test_a_file_outside_of_the_project_is_not_written(tmp_path: Path) -> None:
    root, away = tmp_path / "project", tmp_path / "away"
    root.mkdir()
    away.mkdir()
    (root / "out").symlink_to(away)
    assert not failure("file", root, path="out/alerts.jsonl").again
    (root / "alerts.jsonl").symlink_to(away / "alerts.jsonl")
    assert failure("file", root, path="alerts.jsonl")
    assert list(away.iterdir()) == []


def mail(box: Mailbox, pem: Path, **other: Any) -> dict[str, Any]:
    addresses = {"from": "custody@example.org", "to": ["ann@example.org", "bob@example.org"]}
    return {"host": "localhost", "port": box.port, "ca": str(pem), "timeout": 5, **addresses, **other}


def test_mail_is_sent_over_tls_with_the_key_as_its_id(mailbox: Mailbox, pem: Path) -> None:
    send("email", pem.parent, **mail(mailbox, pem, user="custody", password=SECRET))
    (text,) = mailbox.got
    found = message_from_string(text)
    assert found["Message-ID"] == "<k1@custody>"
    assert found["References"] == "<3f2a9c1b77aa@custody>"
    assert found["Subject"].replace("\n", "") == MESSAGE.title
    assert found["To"] == "ann@example.org, bob@example.org"
    assert "owner growth & co" in found.get_payload()
    assert (mailbox.logins, mailbox.plain) == ([f"custody {SECRET}"], 0)


@pytest.mark.parametrize(("answer", "again"), [("451 later", True), ("554 no", False), (DROP, True)])
def test_what_a_mail_server_says(mailbox: Mailbox, pem: Path, answer: str, again: Any) -> None:
    mailbox.answers = [answer]
    assert failure("email", pem.parent, **mail(mailbox, pem)).again is again


def test_a_certificate_that_nobody_vouches_for_is_refused(mailbox: Mailbox, pem: Path) -> None:
    settings = mail(mailbox, pem)
    del settings["ca"]
    assert "secure" in failure("email", pem.parent, **settings, user="custody", password=SECRET).reason
    assert (mailbox.got, mailbox.logins) == ([], [])


def test_mail_is_not_sent_in_the_clear(mailbox: Mailbox, pem: Path) -> None:
    mailbox.offers_tls = False
    assert not failure("email", pem.parent, **mail(mailbox, pem)).again
    assert mailbox.got == []
    assert not failure("email", pem.parent, **mail(mailbox, pem, host="mail.example.org", tls="never")).again


def test_recipients_that_are_refused_are_told(mailbox: Mailbox, pem: Path) -> None:
    mailbox.refuses = ("bob@",)
    assert "1 of the recipients" in failure("email", pem.parent, **mail(mailbox, pem)).reason


def test_there_is_no_other_channel(tmp_path: Path) -> None:
    assert not failure("pigeon", tmp_path).again


@pytest.fixture
def host() -> Iterator[Host]:
    with hosting() as made:
        yield made


def issue(host: Host, root: Path, **changes: Any) -> None:
    settings = {"repository": REPOSITORY, "token": TOKEN, "api": host.api}
    channel("github")(replace(MESSAGE, **changes), settings, Sender(root, AT, "custody/0"))


def test_an_incident_is_one_issue_that_is_commented_on_and_closed(host: Host, tmp_path: Path) -> None:
    issue(host, tmp_path)
    issue(host, tmp_path, key="k2", revision=2, title="alert churn: worse")
    issue(host, tmp_path, key="k3", revision=3, action="resolve", title="resolved churn")
    issue(host, tmp_path, incident="another", key="k4")
    first, second = host.issues
    assert (first["title"], first["state"], first["labels"]) == (MESSAGE.title, "closed", ["custody"])
    assert "owner growth & co" in first["body"]
    assert [item["body"].splitlines()[0] for item in host.comments[1]] == [
        "**alert churn: worse**",
        "**resolved churn**",
    ]
    assert second["state"] == "open"


def test_what_was_said_is_not_said_again(host: Host, tmp_path: Path) -> None:
    for _ in range(2):
        issue(host, tmp_path)
        issue(host, tmp_path, key="k2", action="resolve")
    issue(host, tmp_path, key="k3")
    assert len(host.issues) == 1
    assert len(host.comments[1]) == 2
    assert host.issues[0]["state"] == "open", "it fires again"


def test_an_issue_that_only_copies_the_mark_is_none_of_ours(host: Host, tmp_path: Path) -> None:
    host.issues.append(
        {"number": 1, "state": "open", "comments": 0, "labels": [], "body": "<!-- custody incident 3f2a9c1b77aa -->"}
    )
    issue(host, tmp_path)
    assert len(host.issues) == 2


def test_a_host_that_fails_in_between_is_asked_again(host: Host, tmp_path: Path) -> None:
    host.failures = [502]
    with pytest.raises(DeliveryError) as caught:
        issue(host, tmp_path)
    assert caught.value.again
    with pytest.raises(DeliveryError) as caught:
        channel("github")(
            MESSAGE, {"repository": REPOSITORY, "token": SECRET, "api": host.api}, Sender(tmp_path, AT, "")
        )
    assert not caught.value.again
    assert SECRET not in caught.value.reason
    issue(host, tmp_path)
    assert len(host.issues) == 1
