"""The channel `email`: SMTP with STARTTLS, or TLS from the first byte; the message's key is its Message-ID."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from custody.domain.channels import DeliveryError, Message
from custody.kit.channels import Sender

PARAMS = {
    "type": "object",
    "properties": {
        "host": {"type": "string", "minLength": 1},
        "port": {"type": "integer", "minimum": 1, "maximum": 65535, "default": 587},
        "tls": {"enum": ["starttls", "always", "never"], "default": "starttls"},
        "ca": {"type": "string", "minLength": 1},
        "from": {"type": "string", "pattern": r"^[^\s@<>]+@[^\s@<>]+$(?!\n)", "patternErrorMessage": "an address"},
        "to": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "pattern": r"^[^\s@<>]+@[^\s@<>]+$(?!\n)", "patternErrorMessage": "an address"},
        },
        "user": {"type": "string"},
        "password": {
            "type": "string",
            "pattern": r"^env:[A-Za-z_][A-Za-z0-9_]*$(?!\n)",
            "patternErrorMessage": "the name of a variable, such as env:SMTP_PASSWORD: a secret is not written down",
        },
        "timeout": {"type": "number", "exclusiveMinimum": 0, "maximum": 60, "default": 20},
    },
    "required": ["host", "from", "to"],
    "additionalProperties": False,
}
"""`ca`: a file of the project, of certificates that the server's is checked by. `tls: never` is for this machine."""

_TIMEOUT = 20.0
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_LASTING = 500
"""Answers of SMTP from here on do not change by waiting."""


def send(message: Message, settings: Mapping[str, Any], sender: Sender) -> None:
    """Hand the message to the mail server; raises DeliveryError."""
    try:
        with _connected(settings, sender.root) as server:
            if settings.get("user"):
                server.login(str(settings["user"]), str(settings.get("password", "")))
            refused = server.send_message(_mail(message, settings, sender))
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        raise DeliveryError("the mail server refuses all recipients", again=min(codes) < _LASTING) from None
    except smtplib.SMTPResponseException as error:
        again = error.smtp_code < _LASTING
        raise DeliveryError(f"the mail server answers {error.smtp_code}", again=again) from None
    except smtplib.SMTPNotSupportedError:
        raise DeliveryError("the mail server offers no STARTTLS or no log-in", again=False) from None
    except ssl.SSLError as error:
        raise DeliveryError(f"no secure connection to the mail server: {error.reason}", again=True) from None
    except (smtplib.SMTPException, OSError) as error:
        raise DeliveryError(f"the mail server cannot be reached: {type(error).__name__}", again=True) from None
    if refused:
        raise DeliveryError(f"the mail server refuses {len(refused)} of the recipients", again=False)


def _connected(settings: Mapping[str, Any], root: Path) -> smtplib.SMTP:
    host, port = str(settings["host"]), int(settings.get("port", 587))
    timeout, tls = float(settings.get("timeout", _TIMEOUT)), settings.get("tls", "starttls")
    if tls == "never":
        if host not in _LOOPBACK:
            raise DeliveryError("`tls: never` is for a mail server on this machine", again=False)
        return smtplib.SMTP(host, port, timeout=timeout)
    context = ssl.create_default_context(cafile=str(root / settings["ca"]) if "ca" in settings else None)
    if tls == "always":
        return smtplib.SMTP_SSL(host, port, timeout=timeout, context=context)
    server = smtplib.SMTP(host, port, timeout=timeout)
    try:
        server.starttls(context=context)
    except BaseException:
        server.close()
        raise
    return server


def _mail(message: Message, settings: Mapping[str, Any], sender: Sender) -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"] = message.title
    mail["From"] = settings["from"]
    mail["To"] = ", ".join(settings["to"])
    mail["Date"] = format_datetime(sender.at)
    mail["Message-ID"] = f"<{message.key}@custody>"
    first = f"<{message.incident}@custody>"
    mail["References"] = first
    mail["X-Custody-Key"] = message.key
    mail.set_content(message.text + "\n")
    return mail
