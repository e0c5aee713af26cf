"""Keep: write the parameters of a trial to the model's pipeline.yaml, to be committed."""

from __future__ import annotations

from collections.abc import Sequence

from custody.app.project import Project
from custody.errors import CustodyError
from custody.spec.edit import set_parameter
from custody.spec.override import parse_settings


def keep_settings(project: Project, model: str, texts: Sequence[str]) -> str:
    """Write the settings to the file of the working tree, all or none, and return its path from the root.

    Raises CustodyError, with the edit to make by hand, where the file is not there or is not edited by itself.
    """
    path = f"{project.config.models}/{model}/pipeline.yaml"
    file = project.root / path
    try:
        before = file.read_bytes()
    except OSError as error:
        raise CustodyError(f"{path} cannot be read: {error.strerror}", code="E604", help=(f"write {path}",)) from error
    data = before
    for setting in parse_settings(texts):
        data = set_parameter(data, path, setting.path, setting.value)
    if data != before:
        file.write_bytes(data)
    return path
