"""Text from templates: the repository's own `templates/` first, then those that ship with custody. Home of Jinja2.

Templates run in a sandbox: a repository's own are reviewed less closely than code.
"""

from __future__ import annotations

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


def _cell(value: object) -> str:
    """Return `value` for a cell of a Markdown table: one line, with all that Markdown or HTML would act on escaped."""
    text = "".join(char if char.isprintable() else " " for char in str(value))
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#~" else char for char in text)
