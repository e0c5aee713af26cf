"""Text from templates: the repository's own `templates/` first, then those that ship with custody. Home of Jinja2.

Templates run in a sandbox: a repository's own are reviewed less closely than code.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from custody.errors import CustodyError

PACKAGE = Path(__file__).resolve().parents[1]


def render(template: str, *, root: Path | None = None, **values: Any) -> str:
    """Render `template` (such as `model/model.yaml`), looked up in `root/templates` first where a root is given.

    The filter `yaml` writes a value as YAML on one line. Raises CustodyError where the template is missing, is
    wrong, or uses a name that it was not given.
    """
    from jinja2 import TemplateError, TemplateNotFound
    from jinja2.exceptions import SecurityError

    try:
        return str(_environment(root).get_template(template).render(values))
    except TemplateNotFound as error:
        raise CustodyError(f"there is no template {error.name}", code="E650") from error
    except (TemplateError, SecurityError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        message = f"the template {template} cannot be rendered: {error}"
        advice = (f"correct templates/{template}, or delete it to use custody's own",)
        raise CustodyError(message, code="E651", help=advice) from error


def packaged_templates() -> Path:
    """Return the folder of the templates that ship with custody: in the wheel, or in the checkout it comes from."""
    inside = PACKAGE / "templates"
    return inside if inside.is_dir() else PACKAGE.parents[1] / "templates"


def render_comment(template: str, **values: Any) -> str:
    """Render a comment for a pull request: whatever is no `Markup` is made harmless text, also where no filter says so.

    Custody's own templates alone: the repository's would come from the pull request that the comment is about.
    The filters are `cell` (plain text), `code` (a code span) and `link` (text, to a URL where there is one).
    """
    return str(_comments().get_template(template).render(values))


def render_page(template: str, **values: Any) -> str:
    """Render a page of HTML in which every value is text. Custody's own templates alone."""
    return str(_pages().get_template(template).render(values))


@cache
def _pages() -> Any:
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader([packaged_templates()]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )


@cache
def _comments() -> Any:
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader([packaged_templates()]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,  # what `finalize` returns is Markup already
        finalize=_markup,
    )
    environment.filters.update(cell=_markup, code=_code, link=_link)
    return environment


@cache
def _environment(root: Path | None) -> Any:
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    from custody.spec.emit import flow

    own = [root / "templates"] if root else []
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader([*own, packaged_templates()]),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # YAML, Markdown and Make, no HTML
    )
    environment.filters["yaml"] = flow
    environment.filters["cell"] = _cell
    return environment


_PUNCTUATION = {ord(char): f"\\{char}" for char in "\\`*_[]|~"} | {
    ord("&"): "&amp;",
    ord("<"): "&lt;",
    ord(">"): "&gt;",
    ord("$"): "&#36;",
    # hosts look for mentions, references and addresses in the finished text: an invisible blank ends each of them
    ord("@"): "@&#8203;",
    ord("#"): "&#35;&#8203;",
}
_ADDRESS = re.compile(r"(?i)(:(?=//)|www(?=\.)|\bgh(?=-[0-9]))")
_PLAIN = re.compile(
    r"[\w.@/:=+,%~()'\"#!?;*\[\]{}\u2192\u2212-]+(?: [\w.@/:=+,%~()'\"#!?;*\[\]{}\u2192\u2212-]+)*", re.ASCII
)
_URL = re.compile(r"https?://[A-Za-z0-9._~:/?%#=&+,@-]+")


def _cell(value: object) -> str:
    """Return `value` for a cell of a Markdown table: one line in which Markdown, HTML and hosts act on nothing."""
    text = " ".join("".join(char if char.isprintable() else " " for char in str(value)).split())
    if not text and str(value):
        return "(blank)"  # blanks alone would move what stands beside them
    marked = _ADDRESS.sub("\\1\0", text)
    return marked.translate(_PUNCTUATION).replace("\0", "&#8203;")


def _markup(value: Any) -> Any:
    from markupsafe import Markup

    return value if hasattr(value, "__html__") else Markup(_cell(value))  # noqa: S704  (escaped on the line above)


def _code(value: object) -> Any:
    """Return a code span, in which nothing is acted on; text that cannot stand in one becomes plain text."""
    from markupsafe import Markup

    text = str(value)
    return Markup(f"`{text}`") if _PLAIN.fullmatch(text) else _markup(text)  # noqa: S704  (safe characters alone)


def _link(text: Any, url: str | None) -> Any:
    from markupsafe import Markup

    shown = _markup(text)
    return Markup(f"[{shown}]({url})") if url and _URL.fullmatch(url) else shown  # noqa: S704  (both are escaped)
