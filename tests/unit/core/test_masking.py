"""Secrets are found in every form that is promised, wherever a stream is cut; what is none stays."""

from __future__ import annotations

import base64
import json
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from custody.core.masking import Mask, MaskedStream

SECRET = 'pa/ss+w"ö rd&42'
PRINTABLE = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), min_size=6, max_size=40)
"""Secrets of one line without blanks at the ends, which are cut off."""


def forms(secret: str) -> dict[str, str]:
    raw = secret.encode()
    return {
        "plain": secret,
        "json": json.dumps({"a": secret}),
        "json, unescaped": json.dumps({"a": secret}, ensure_ascii=False),
        "python": repr(secret),
        "query": quote_plus(secret),
        "path": quote(secret),
        "component": quote(secret, safe=""),
        "lower": re.sub("%..", lambda found: found[0].lower(), quote(secret, safe="")),
        "hex": raw.hex(),
        "base64": base64.b64encode(raw).decode(),
        "base64, urlsafe": base64.urlsafe_b64encode(raw).decode(),
        **{f"base64 after {n}": base64.b64encode(b"user:"[:n] + raw + b"@host").decode() for n in range(1, 6)},
    }


@pytest.mark.parametrize("form", forms(SECRET))
def test_a_secret_is_found_in_every_form(form: str) -> None:
    shown = Mask.of({"DB_PASSWORD": SECRET}).text(f"<{forms(SECRET)[form]}>")
    assert "***" in shown
    assert shown.startswith("<")
    assert shown.endswith(">")
    if "after" not in form:
        assert shown.strip("<>{}\"a:' ") == "***"


@given(PRINTABLE.map(str.strip).filter(lambda text: len(text) >= 6), st.binary(max_size=5), st.binary(max_size=5))
def test_nothing_but_the_ends_of_a_secret_shows_in_longer_base64(secret: str, before: bytes, after: bytes) -> None:
    raw = secret.encode()
    shown = Mask([secret]).text(base64.b64encode(before + raw + after).decode())
    assert "***" in shown
    left = sum(map(len, shown.split("***")))
    assert left <= len(base64.b64encode(before)) + len(base64.b64encode(after)) + 4


@given(
    PRINTABLE.map(str.strip).filter(lambda text: len(text) >= 6),
    st.lists(
        st.sampled_from(["x" * 700, " ", "\n", "é", "\x00", "SECRET", "https://u:SECRET@h/ ", "abc"]), max_size=12
    ),
    st.data(),
)
def test_a_stream_is_masked_as_the_whole_wherever_it_is_cut(secret: str, parts: list[str], data: st.DataObject) -> None:
    whole = "".join(parts).replace("SECRET", secret).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    stream = MaskedStream(Mask([secret]))
    out = b"".join(stream.feed(whole[a:b]) for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True))
    assert out + stream.end() == Mask([secret]).data(whole)


def test_a_line_is_given_out_at_once() -> None:
    stream = MaskedStream(Mask(["s3cr3t-value"]))
    assert stream.feed(b"epoch 1\nepo") == b"epoch 1\n"
    assert stream.feed(b"ch 2 s3cr3t-") == b""
    assert stream.feed(b"value\n") == b"epoch 2 ***\n"


@pytest.mark.parametrize(
    "name",
    ["GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "MYSQL_PWD", "STRIPE_API_KEY", "apikey", "DB_PASS",
     "GOOGLE_CREDENTIALS", "SENTRY_DSN", "SLACK_WEBHOOK", "SSH_PASSPHRASE", "CI_JOB_JWT", "NPM_AUTH", "GH_PAT"],
)  # fmt: skip
def test_names_that_say_secret(name: str) -> None:
    assert Mask.of({name: "Zx81-qwerty"}).text("it is Zx81-qwerty.") == "it is ***."


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PATH", "/usr/bin:/bin"),
        ("PWD", "/home/ann/project"),
        ("SSH_AUTH_SOCK", "/tmp/ssh-1/agent.1"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/etc/keys/service.json"),
        ("SECRET_KEY_FILE", "/run/secrets/key"),
        ("SORT_KEY", "customer_id"),
        ("TOKENIZERS_PARALLELISM", "disabled"),
        ("MONKEY", "banana-split"),
        ("API_TOKEN", "short"),
        ("KEYBOARD", "qwertz-de"),
    ],
)
def test_what_is_no_secret_stays(name: str, value: str) -> None:
    assert Mask.of({name: value}).text(f"it is {value}.") == f"it is {value}."


def test_passwords_in_addresses() -> None:
    mask = Mask.of({"DATABASE_URL": "postgres://ann:hunter22@db/x"})
    assert mask.text("login with hunter22 failed") == "login with *** failed"
    shown = Mask().text("see https://bob:whatever@example.org/a?b=c and http://x.org:80/y@z")
    assert shown == "see https://bob:***@example.org/a?b=c and http://x.org:80/y@z"


def test_keys_of_many_lines_and_key_files() -> None:
    key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\n9w0BAQEFAASCBKcwggSj\n-----END KEY-----\n"
    mask = Mask.of({"DEPLOY_KEY": key, "GCP_CREDENTIALS": json.dumps({"type": "service", "private_key": key})})
    assert "MIIE" not in mask.text(f"a\n{key}b")
    assert "ASCB" not in mask.text(json.dumps(key))
    assert mask.text("type service") == "type service"


def test_json_stays_json() -> None:
    value = {"note": "s3cr3t-value", "list": ["s3cr3t-value", 1, None], "s3cr3t-value": True}
    assert Mask(["s3cr3t-value"]).json(value) == {"note": "***", "list": ["***", 1, None], "***": True}
