"""The model's own functions: imported from the folder into which the code of a run was laid out, and called.

`./steps.py:prepare` of the model `churn` is imported as `custody_models.churn.steps` wherever the folder lies, so that
the bytes of an artifact that names it are the same everywhere. The model's directory comes first on the import path,
then the extension roots: the order in which a step's code is looked for when its key is made.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from custody.errors import CustodyError

PACKAGE = "custody_models"


class UserCodeError(CustodyError):
    """The model's own code cannot be imported, or raised; the message names the line of it."""


@dataclass(frozen=True, slots=True)
class UserCode:
    """The code of one model: `folder` is laid out as the repository, `directory` is the model's in it."""

    model: str
    folder: Path | None
    directory: str
    extensions: tuple[str, ...] = ()

    @contextlib.contextmanager
    def importable(self) -> Iterator[None]:
        """Make the code importable; on leaving it is forgotten, so that another version may follow."""
        path, bytecode = list(sys.path), sys.dont_write_bytecode
        before = set(sys.modules)
        sys.dont_write_bytecode = True
        try:
            if self.folder is not None:
                roots = [self.folder / self.directory, *(self.folder / root for root in self.extensions)]
                sys.path[:0] = [str(root.resolve()) for root in roots]
                self._package()
                importlib.invalidate_caches()
            yield
        finally:
            sys.path[:] = path
            sys.dont_write_bytecode = bytecode
            for name in set(sys.modules) - before:
                if self.owns(name):
                    del sys.modules[name]

    def module_name(self, place: str) -> str:
        """Return the module that `place`, the part of `uses:` before the colon, is imported as."""
        if not place.startswith("./"):
            return place
        parts = Path(place).with_suffix("").parts
        return ".".join((PACKAGE, self.model, *parts))

    def function(self, uses: str) -> Callable[..., Any]:
        """Import what `uses:` names; raises UserCodeError with the place in the user's file where that fails."""
        place, _, name = uses.partition(":")
        module = self.load(self.module_name(place))
        found = getattr(module, name, None)
        if not callable(found):
            where = place.removeprefix("./")
            raise UserCodeError(f"{where} has no function {name}", help=(f"def {name}(ctx, **params): …",))
        return found  # type: ignore[no-any-return]

    def load(self, name: str) -> ModuleType:
        """Import a module of the model's code or an installed one."""
        try:
            return importlib.import_module(name)
        except Exception as error:
            raise self.failure(error, f"importing {self._shown(name)}") from error

    def call(self, function: Callable[..., Any], *args: Any, **params: Any) -> Any:
        """Call the user's `function`; what it raises becomes one line that names the place in the user's file."""
        try:
            return function(*args, **params)
        except CustodyError:
            raise
        except Exception as error:
            raise self.failure(error, f"{function.__name__}()") from error

    def first_party(self, names: Sequence[str]) -> tuple[str, ...]:
        """Import those of `names` that lie in the code folder and return them; others are left out, not imported.

        For the modules that an artifact names: what is installed elsewhere is never imported on a file's word.
        """
        return tuple(name for name in names if self._lies_here(name) and self.load(name))

    def owns(self, name: str) -> bool:
        """Whether the imported module `name` comes from the code folder."""
        if name == PACKAGE or name.startswith(f"{PACKAGE}."):
            return True
        file = getattr(sys.modules.get(name), "__file__", None)
        spec = getattr(sys.modules.get(name), "__spec__", None)
        places = [file] if file else list(getattr(spec, "submodule_search_locations", None) or ())
        return any(self._inside(Path(place)) for place in places)

    def _package(self) -> None:
        """Make the packages above the model's files; its `__init__.py`, if any, runs as that of an ordinary package."""
        if self.folder is None:
            return
        root = ModuleType(PACKAGE)
        root.__path__ = []
        sys.modules[PACKAGE] = root
        name, home = f"{PACKAGE}.{self.model}", (self.folder / self.directory).resolve()
        for stale in [loaded for loaded in sys.modules if loaded == name or loaded.startswith(f"{name}.")]:
            del sys.modules[stale]
        init = home / "__init__.py"
        spec = importlib.util.spec_from_file_location(name, init, submodule_search_locations=[str(home)])
        if init.is_file() and spec is not None and spec.loader is not None:
            package = importlib.util.module_from_spec(spec)
            sys.modules[name] = package
            try:
                spec.loader.exec_module(package)
            except Exception as error:
                raise self.failure(error, f"importing {self.directory}/__init__.py") from error
        else:
            package = ModuleType(name)
            package.__path__ = [str(home)]
            sys.modules[name] = package

    def _lies_here(self, name: str) -> bool:
        if self.folder is None:
            return False
        if name.startswith(f"{PACKAGE}."):
            return name.startswith(f"{PACKAGE}.{self.model}.")
        try:
            spec = importlib.util.find_spec(name.partition(".")[0])
        except (ImportError, ValueError):
            return False
        places = [spec.origin] if spec and spec.origin else list((spec and spec.submodule_search_locations) or ())
        return any(self._inside(Path(place)) for place in places if place)

    def _inside(self, path: Path) -> bool:
        return self.folder is not None and path.resolve().is_relative_to(self.folder.resolve())

    def _shown(self, name: str) -> str:
        own = name.removeprefix(f"{PACKAGE}.{self.model}.")
        return f"{own.replace('.', '/')}.py" if own != name else name

    def failure(self, error: Exception, doing: str) -> UserCodeError:
        """Print the traceback, which goes to the step's log, and return the error in one line."""
        traceback.print_exception(error)
        text = " ".join(str(error).split())
        said = f"{type(error).__name__}: {text}" if text else type(error).__name__
        place = self.place(error)
        return UserCodeError(f"{place}: {said}" if place else f"{doing}: {said}")

    def place(self, error: BaseException) -> str | None:
        """Return `file:line`, the innermost frame in the user's code, or the line of a syntax error."""
        if self.folder is None:
            return None
        places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
        if isinstance(error, SyntaxError) and error.filename:
            places.append((error.filename, error.lineno))
        for file, line in reversed(places):
            if self._inside(Path(file)):
                return f"{Path(file).resolve().relative_to(self.folder.resolve()).as_posix()}:{line}"
        return None
