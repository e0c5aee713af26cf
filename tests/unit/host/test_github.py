from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from custody.app.post import Destination, post_comment
from custody.errors import UsageError
from custody.host.github import GitHub, HostError, Patience, Posted, ReadOnlyError
from tests.unit.host.server import BOT, REPOSITORY, TOKEN, Answer, Host, serving

MARKER = "<!-- custody:plan -->"
BODY = f"{MARKER}\n### custody · may merge\n"
NOW = 1_800_000_000.0


@pytest.fixture
def host() -> Iterator[Host]:
    with serving() as made:
        yield made


@pytest.fixture
def waits() -> list[float]:
    return []


def post(host: Host, waits: list[float] | None = None, body: str = BODY, *, create: bool = True) -> Posted:
    slept: list[float] = [] if waits is None else waits
    patience = Patience(slept.append, lambda: NOW)
    return post_comment(Destination(host.api, REPOSITORY, 7, TOKEN), body, MARKER, create=create, patience=patience)


def test_a_comment_is_made_then_edited_in_place_then_left(host: Host) -> None:
    host.add("looks good to me", {"login": "ann", "type": "User"})
    assert post(host).action == "created"
    edited = post(host, body=BODY + "more\n")
    assert (edited.action, edited.url) == ("updated", host.comments[1]["html_url"])
    before = host.counted("PATCH")
    assert post(host, body=BODY + "more\n").action == "unchanged"
    assert (host.counted("PATCH"), len(host.comments)) == (before, 2)
    assert host.comments[0]["body"] == "looks good to me"


def test_nothing_to_say_makes_no_comment_but_edits_one_that_is_there(host: Host) -> None:
    assert post(host, create=False) == Posted("none")
    assert host.counted("POST") == 0
    host.add(BODY)
    assert post(host, body=f"{MARKER}\nnothing changes\n", create=False).action == "updated"


def test_the_comment_is_found_on_a_later_page(host: Host) -> None:
    for number in range(250):
        host.add(f"comment {number}")
    host.comments[240]["body"] = BODY
    assert post(host, body=BODY + "x").action == "updated"
    assert host.comments[240]["body"] == BODY + "x"


def test_a_person_who_copies_the_marker_is_not_edited(host: Host) -> None:
    host.add(BODY, {"login": "mallory", "type": "User"})
    assert post(host, body=BODY + "x").action == "created"
    assert host.comments[0]["body"] == BODY


def test_by_hand_the_own_comment_is_edited(host: Host) -> None:
    host.login = "ann"
    host.add(BODY, BOT)
    host.add(BODY, {"login": "ann", "type": "User"})
    assert post(host, body=BODY + "x").action == "updated"
    assert host.comments[1]["body"] == BODY + "x"


@pytest.mark.parametrize(
    ("answer", "waited"),
    [
        (Answer(403, {"retry-after": "7"}), 7),
        (Answer(429, {"retry-after": "3"}), 3),
        (Answer(403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW) + 30)}), 30),
        (Answer(429), 60),
        (Answer(500), 2),
        (Answer(502), 2),
    ],
)
def test_limits_and_faults_are_waited_for(host: Host, waits: list[float], answer: Answer, waited: float) -> None:
    host.planned = [answer]
    assert post(host, waits).action == "created"
    assert waits == [waited]


def test_waiting_is_bounded(host: Host, waits: list[float]) -> None:
    host.planned = [Answer(403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW) + 3600)})]
    with pytest.raises(HostError, match="rate limit is used up"):
        post(host, waits)
    assert waits == []
    host.planned = [Answer(500)] * 9
    with pytest.raises(HostError, match="answered 500"):
        post(host, waits)
    assert len(waits) == 3


@pytest.mark.parametrize("answer", [Answer(502, done=True), Answer(502, skips_get=True)], ids=["made", "not made"])
def test_a_fault_while_the_comment_is_made_never_makes_two(host: Host, waits: list[float], answer: Answer) -> None:
    host.planned = [answer]
    assert post(host, waits).action == "created"
    assert len(host.comments) == 1
    assert host.counted("POST") == (1 if answer.done else 2)
    assert waits == [2]


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (Answer(401, message="Bad credentials"), HostError, "does not accept the token: Bad credentials"),
        (Answer(403, message="Must have admin"), HostError, "may not read comments of acme/models: Must have admin"),
        (Answer(404, message="Not Found"), HostError, "no such pull request in acme/models"),
        (Answer(418, message="tea"), HostError, "answered 418: tea"),
    ],
)
def test_refusals_are_told_apart(host: Host, answer: Answer, kind: type[HostError], words: str) -> None:
    host.planned = [answer]
    with pytest.raises(kind, match=words) as caught:
        post(host)
    assert not isinstance(caught.value, ReadOnlyError)


def test_a_token_that_can_only_read(host: Host) -> None:
    host.read_only = True
    with pytest.raises(ReadOnlyError, match="may not write comments"):
        post(host)


def test_a_body_that_the_host_refuses(host: Host) -> None:
    with pytest.raises(HostError, match="refuses the comment: Validation Failed"):
        post(host, body=MARKER + "x" * 70_000)


def test_messages_are_one_line_of_text(host: Host) -> None:
    host.planned = [Answer(404, message="a\x1b[31m\nb" + "c" * 900)]
    with pytest.raises(HostError) as caught:
        post(host)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 400


@pytest.mark.parametrize("raw", [b"<html>", b"{}", b'"text"'])
def test_an_answer_that_is_no_list(host: Host, raw: bytes) -> None:
    host.raw = raw
    with pytest.raises(HostError, match="answered with something"):
        post(host)


def test_the_token_goes_to_no_other_host(host: Host) -> None:
    with serving() as other:
        host.next_host = other.api
        for _ in range(101):
            host.add("x")
        with pytest.raises(HostError, match="another host"):
            post(host)
        assert other.asked == []


def test_a_host_that_is_not_there(waits: list[float]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    gone = Host(api=f"http://127.0.0.1:{port}")
    with pytest.raises(HostError, match="cannot be reached: ConnectError"):
        post(gone, waits)
    assert waits == [2, 4, 8]


def test_a_host_that_does_not_answer_in_time() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        api = f"http://127.0.0.1:{silent.getsockname()[1]}"
        patience = Patience(lambda _: None, lambda: NOW)
        with (
            GitHub(REPOSITORY, TOKEN, api, timeout=0.05, patience=patience) as github,
            pytest.raises(HostError, match="cannot be reached: ReadTimeout"),
        ):
            github.post(7, BODY, MARKER)


@pytest.mark.parametrize(
    ("repository", "token", "api"),
    [
        ("acme/models/x", TOKEN, "https://api.github.com"),
        ("../..", TOKEN, "https://api.github.com"),
        (REPOSITORY, "a b\n", "https://api.github.com"),
        (REPOSITORY, "", "https://api.github.com"),
        (REPOSITORY, TOKEN, "http://api.github.com"),
        (REPOSITORY, TOKEN, "file:///etc/passwd"),
    ],
)
def test_arguments_are_checked_and_the_token_is_not_told(repository: str, token: str, api: str) -> None:
    with pytest.raises(UsageError) as caught:
        GitHub(repository, token, api)
    assert not token or token not in str(caught.value)


def test_the_token_is_in_no_text(host: Host) -> None:
    with GitHub(REPOSITORY, TOKEN, host.api) as github:
        assert TOKEN not in repr(github)
    assert TOKEN not in repr(Destination(host.api, REPOSITORY, 7, TOKEN))
    for answer in (Answer(401), Answer(404), Answer(500, {"retry-after": "9999"})):
        host.planned = [answer] * 9
        with pytest.raises(HostError) as caught:
            post(host)
        assert TOKEN not in str(caught.value) + repr(caught.value.__dict__)
    assert host.tokens == {f"Bearer {TOKEN}"}
