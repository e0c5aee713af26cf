"""Loading all specs of one revision: text, node tree, duplicates, profiles, schema, typed values, cross references.

All problems of a stage are reported together; a file with problems of an early stage is not asked about a later one.
Works on any revision: files are listed and read by the functions that are passed in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from custody.domain.problem import Place, Problem, Severity
from custody.domain.revision import Read
from custody.domain.spec import (
    LATEST,
    MODEL_KINDS,
    MONITORS,
    PROFILES,
    Config,
    DatasetRef,
    DatasetSpec,
    Document,
    Manifest,
    ModelSpec,
    Spec,
    is_timed,
)
from custody.spec import build
from custody.spec.channels import channel_problems
from custody.spec.config import config_of
from custody.spec.documents import Files, shown
from custody.spec.hints import meant, nearest
from custody.spec.monitor_references import compared_with
from custody.spec.profile import KEY, Profile, layered
from custody.spec.references import dataset_problems, model_problems
from custody.spec.schedules import zone_problems
from custody.spec.scope import Scope
from custody.spec.words import listed, say
from custody.spec.yaml12 import Parsed

ListFiles = Callable[[str], Iterable[str]]

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_RESERVED = frozenset(
    {"con", "prn", "aux", "nul", "all", "none", "auto", LATEST}
    | {f"{device}{number}" for device in ("com", "lpt") for number in range(1, 10)}
)
_YAML = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the specs say, without the models and datasets that have errors, and all problems in order of place."""

    spec: Spec
    problems: tuple[Problem, ...] = ()

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that stop a command."""
        return tuple(problem for problem in self.problems if problem.severity is Severity.ERROR)


def load(read: Read, list_files: ListFiles) -> Loaded:
    """Load the specs of one revision. Never raises for what the files hold."""
    files = Files(read)
    config = config_of(files)
    spec = Spec(config or Config(id=""))
    if config is not None:
        datasets = dict(_datasets(files, config, list_files))
        models = dict(_models(files, config, list_files))
        spec = Spec(config, models, datasets)
        spec = _cross_checked(spec, files)
    found = (shown(_of_profile(problem, files), read) for problem in _once(files.problems))
    problems = tuple(sorted(found, key=lambda problem: problem.position))
    warnings = tuple(problem for problem in problems if problem.severity is Severity.WARNING)
    return Loaded(replace(spec, warnings=warnings), problems)


def pinned_errors(spec: Spec, read: Read) -> tuple[Problem, ...]:
    """Return the errors of models that name a version by its time; `spec` holds the versions of the ledger too."""
    scope = Scope(spec, read, recorded=True)
    pinned = (model for model in spec.models.values() if any(is_timed(ref.version) for ref in _named(model)))
    found = (problem for model in pinned for problem in model_problems(model, scope))
    return tuple(shown(problem, read) for problem in found if problem.severity is Severity.ERROR)


def _named(model: ModelSpec) -> Iterator[DatasetRef]:
    yield model.dataset
    yield from (ref for _, ref in compared_with(model))


def load_manifest(
    data: bytes, dataset: str, version: str, path: str = ""
) -> tuple[Manifest | None, tuple[Problem, ...]]:
    """Load the bytes of one dataset version; None where they have errors."""
    path = path or f"datasets/{dataset}/versions/{version}.yaml"
    files = Files(lambda _: data)
    document = files.document("version", path)
    found = build.manifest(dataset, version, document) if document else None
    return found, tuple(shown(problem, lambda _: data) for problem in files.problems)


def load_dataset(read: Read, directory: str) -> tuple[DatasetSpec | None, tuple[Problem, ...]]:
    """Load the `dataset.yaml` below `directory` without its versions; None where it has errors."""
    files = Files(read)
    document = files.document("dataset", f"{directory}/dataset.yaml")
    found = build.dataset(directory.rpartition("/")[2], directory, document, {}) if document else None
    return found, tuple(shown(problem, read) for problem in files.problems)


def name_fault(name: str) -> str | None:
    """Return why `name` cannot be the name of a model or dataset; None where it can."""
    if not _NAME.match(name):
        return "small letters, digits, `.`, `_` and `-`, at most 64, beginning with a letter or digit"
    if name.partition(".")[0] in _RESERVED or name.endswith((".lock", ".")) or ".." in name:
        return "another name: this one is reserved"
    return None


def label_fault(label: str) -> str | None:
    """Return why `label` cannot be the label of a dataset version; None where it can."""
    if not _LABEL.match(label):
        return "letters, digits, `.`, `_` and `-`, at most 64, beginning with a letter or digit"
    return "another label: this one floats" if label == LATEST else None


def _datasets(files: Files, config: Config, list_files: ListFiles) -> Iterator[tuple[str, DatasetSpec]]:
    for name, inside in _folders(files, config.datasets, list_files):
        directory = f"{config.datasets}/{name}"
        manifests: dict[str, Manifest] = {}
        sound = True
        for path in inside:
            folder, _, file = path.rpartition("/")
            if folder == "versions" and file.endswith(".yaml"):
                found = _version(files, name, file[: -len(".yaml")], f"{directory}/{path}")
                sound = sound and found is not None
                if found:
                    manifests[found.version] = found
            elif file.endswith(_YAML) and (folder == "versions" or path != "dataset.yaml"):
                _stray(files, f"{directory}/{path}", ("dataset.yaml",), folder)
        document = _required(files, "dataset", f"{directory}/dataset.yaml", "dataset.yaml" in inside)
        if document and sound:
            yield name, build.dataset(name, directory, document, manifests)
        else:
            files.broken.add(name)


def _version(files: Files, dataset: str, label: str, path: str) -> Manifest | None:
    fault = label_fault(label)
    if fault:
        files.problems.append(Problem("E121", f"{say(label)} cannot be a version, expected {fault}", Place(path, 1, 1)))
        return None
    document = files.document("version", path)
    return build.manifest(dataset, label, document) if document else None


def _models(files: Files, config: Config, list_files: ListFiles) -> Iterator[tuple[str, ModelSpec]]:
    profiles = dict(_profiles(files, list_files))
    for name, inside in _folders(files, config.models, list_files):
        directory = f"{config.models}/{name}"
        _strays(files, directory, inside)
        about = files.parsed(f"{directory}/model.yaml") if "model.yaml" in inside else None
        profile = _profile_of(files, name, about, profiles)
        if profile is not None and profile.sound:
            documents = _documents(files, directory, inside, about, profile)
            if documents is not None:
                yield name, build.model(name, directory, documents)


def _documents(
    files: Files, directory: str, inside: frozenset[str], about: Parsed | None, profile: Profile
) -> dict[str, Document] | None:
    """Return the documents of a model, each over that of its profile; None where one is missing or has errors."""
    found: dict[str, Document | None] = {}
    for kind in MODEL_KINDS:
        path, below = f"{directory}/{kind}.yaml", profile.documents.get(kind)
        there = f"{kind}.yaml" in inside
        if below is None and not there and kind == MONITORS:
            continue
        if below is None:
            found[kind] = _required(files, kind, path, there, about if kind == "model" else None)
            continue
        own = about if kind == "model" else files.parsed(path) if there else None
        document = files.checked(kind, path if own else below.path, layered(own, below))
        found[kind] = replace(document, below=below) if document else None
    sound = {kind: document for kind, document in found.items() if document}
    return sound if len(sound) == len(found) else None


def _profile_of(files: Files, model: str, about: Parsed | None, profiles: Mapping[str, Profile]) -> Profile | None:
    """Return the profile that model.yaml names, an empty one where it names none; None where there is no such."""
    named = about.value.get(KEY) if about else None
    if about is None or KEY not in about.value:
        return Profile("", {})
    if not isinstance(named, str):
        files.checked("model", about.places[KEY].path, about, partial=True)
        return None
    files.users.setdefault(named, []).append(model)
    if named in profiles:
        return profiles[named]
    advice = meant(named, profiles) or (f"write {PROFILES}/{named}/pipeline.yaml",)
    message = f"there is no profile {say(named)}"
    files.problems.append(Problem("E202", message, about.places[KEY], label=f"not in {PROFILES}", help=advice))
    return None


def _profiles(files: Files, list_files: ListFiles) -> Iterator[tuple[str, Profile]]:
    for name, inside in _folders(files, PROFILES, list_files):
        directory = f"{PROFILES}/{name}"
        _strays(files, directory, inside)
        documents = {
            kind: files.document(kind, f"{directory}/{kind}.yaml", partial=True)
            for kind in MODEL_KINDS
            if f"{kind}.yaml" in inside
        }
        sound = {kind: document for kind, document in documents.items() if document}
        about = sound.get("model")
        if about and KEY in about.value:
            message = f"profile {say(name)} names a profile: there is one level"
            files.problems.append(Problem("E106", message, about.places[f"{KEY}#key"], help=("write its values out",)))
            del sound["model"]
        yield name, Profile(name, sound, len(sound) == len(documents))


def _strays(files: Files, directory: str, inside: frozenset[str]) -> None:
    known = tuple(f"{kind}.yaml" for kind in MODEL_KINDS)
    for path in inside:
        if path.endswith(_YAML) and "/" not in path and path not in known:
            _stray(files, f"{directory}/{path}", known, "")


def _required(
    files: Files,
    kind: str,
    path: str,
    there: bool,  # noqa: FBT001
    parsed: Parsed | None = None,
) -> Document | None:
    if there:
        return files.checked(kind, path, parsed) if parsed else files.document(kind, path)
    folder = path.rpartition("/")[0]
    message = f"{folder} has no {kind}.yaml, or it is no regular file"
    advice = f"custody schema {kind}" if kind != "gates" else f"touch {path}        (an empty file: every run passes)"
    files.problems.append(Problem("E120", message, Place(path, 1, 1), help=(advice,)))
    return None


def _folders(files: Files, root: str, list_files: ListFiles) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the folders below `root` that may hold a spec, with the paths inside them, names checked."""
    inside: dict[str, set[str]] = {}
    for path in list_files(root):
        name, _, rest = path.removeprefix(f"{root}/").partition("/")
        if rest:
            inside.setdefault(name, set()).add(rest)
        elif name.endswith(_YAML):
            message = f"{path} stands alone: each {root.rpartition('/')[2].rstrip('s')} is a folder"
            files.problems.append(Problem("E120", message, Place(path, 1, 1), help=(f"git rm {path}",)))
    seen: dict[str, str] = {}
    for name, paths in sorted(inside.items()):
        if not any(path.endswith(_YAML) for path in paths):
            continue
        place = Place(f"{root}/{name}", 1, 1)
        fault = name_fault(name)
        if fault:
            files.problems.append(Problem("E121", f"{say(name)} cannot be a name, expected {fault}", place))
        elif name.casefold() in seen:
            message = f"{say(name)} and {say(seen[name.casefold()])} differ only in case"
            files.problems.append(Problem("E121", message, place))
        else:
            seen[name.casefold()] = name
            yield name, frozenset(paths)


def _stray(files: Files, path: str, known: tuple[str, ...], folder: str) -> None:
    file = path.rpartition("/")[2]
    place = Place(path, 1, 1)
    named = file[: -len(".yml")] + ".yaml" if file.endswith(".yml") else ""
    near = named if named in known or (named and folder == "versions") else nearest(file, known)
    rename = (f"git mv {path} {path.rpartition('/')[0]}/{near}",) if near else (f"git rm {path}",)
    files.problems.append(Problem("E120", f"{path} is not a file of a spec", place, help=rename))


def _cross_checked(spec: Spec, files: Files) -> Spec:
    """Check the references between files; leave out the models whose references have errors."""
    scope = Scope(spec, files.read, frozenset(files.broken))
    broken: set[str] = set()
    files.problems += zone_problems(spec.config)
    files.problems += channel_problems(spec.config)
    for dataset in spec.datasets.values():
        files.problems += dataset_problems(dataset)
    for name, model in spec.models.items():
        found = tuple(model_problems(model, scope))
        files.problems += found
        if any(problem.severity is Severity.ERROR for problem in found):
            broken.add(name)
    return replace(spec, models={name: model for name, model in spec.models.items() if name not in broken})


def _once(problems: Iterable[Problem]) -> Iterator[Problem]:
    """Leave out what was said of the same place already: a profile's value is met again in each model that uses it."""
    seen: set[tuple[str, Place | None, str]] = set()
    for problem in problems:
        mark = (problem.code, problem.place, problem.message)
        if mark not in seen:
            seen.add(mark)
            yield problem


def _of_profile(problem: Problem, files: Files) -> Problem:
    """Return the problem with the models that it touches, where it stands in a profile."""
    path = problem.place.path if problem.place else ""
    users = files.users.get(path.removeprefix(f"{PROFILES}/").partition("/")[0]) if path.startswith(PROFILES) else None
    if not users:
        return problem
    used = f"it is in a profile, used by {listed(users, most=5)}; `null` in a model's own file takes a value out"
    return replace(problem, because=(*problem.because, used))
