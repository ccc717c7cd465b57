"""From a study file to a study, with errors that name the file and the field."""

import hashlib
import inspect
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from harness import registry
from harness.nearest import nearest
from harness.study.limits import MOST_BYTES
from harness.study.parts import StudyError
from harness.study.schema import Study
from harness.study.yaml_values import LimitError, yaml_values


def load_study(source: str | Path, tell: Callable[[Sequence[str]], None] | None = None) -> Study:
    """Read a study from a file, or a shipped one by its name.

    Args:
        tell: is given the study's code of others before any of it runs: plug-in files with their SHA-256, and
            modules that its parts are named by.

    Raises:
        StudyError: with one sentence a problem, each naming file and field.
    """
    path = find_study(str(source))
    try:
        if path.stat().st_size > MOST_BYTES:
            raise StudyError(f"{path}: is larger than {MOST_BYTES:,} bytes, as large as a study may be")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: cannot be read: {error}") from error
    try:
        written = yaml_values(text)
    except LimitError as error:
        raise StudyError(f"{path}: {error}") from error
    except yaml.YAMLError as error:
        raise StudyError(f"{path}: is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(written, dict):
        raise StudyError(f"{path}: a study file holds fields (name: ..., trials: ...), found {written!r:.80}")
    try:
        study = Study.model_validate(written)
        named = {Path(file).name: file for file in study.named_files()}
        listed = {Path(plugin).name for plugin in study.plugins}
        files = [*study.plugins, *(file for name, file in named.items() if name not in listed)]
        paths = [plugin_path(plugin, path) for plugin in files]
        if tell is not None:
            tell([*map(_told, paths), *study.named_modules()])
        # Here too, so that a misspelt name finds what they offer.
        registry.load_study_files(paths, named=lambda file: file.name in named)
    except ValidationError as error:
        raise StudyError("\n".join(_sentence(path, problem) for problem in error.errors())) from error
    except ValueError as error:
        raise StudyError(f"{path}: plugins: {error}") from error
    # Workers load the same files, wherever they were started.
    absolute = {"plugins": [str(plugin) for plugin in paths]}
    return study.model_copy(update=absolute).lying_in(path.parent.resolve())


def find_study(source: str) -> Path:
    """The path of a study file, or of the shipped study of that name. Raises StudyError."""
    path = Path(source)
    if path.is_file():
        return path
    shipped = shipped_studies()
    if source in shipped:
        return shipped[source]
    raise StudyError(f"{source}: neither a file nor the name of a shipped study{nearest(source, shipped)}")


def shipped_studies() -> dict[str, Path]:
    """Name -> file of every study that ships with the package."""
    import studies

    folder = Path(inspect.getfile(studies)).parent
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def plugin_path(plugin: str, study_path: Path) -> Path:
    """A plug-in file's absolute path: as written, relative to the study file."""
    return (study_path.parent / plugin).resolve()


def _told(plugin: Path) -> str:
    """A plug-in file as it is told before it runs; that it is not there is said when it should."""
    return (
        f"{plugin} (SHA-256 {hashlib.sha256(plugin.read_bytes()).hexdigest()})"
        if plugin.is_file()
        else str(plugin)
    )


def json_schema() -> str:
    """The study file's JSON Schema, for editors."""
    return json.dumps(Study.model_json_schema(), indent=2)


def _sentence(path: Path, problem: Any) -> str:
    steps = [str(step) for step in problem["loc"] if not str(step).startswith("<")]
    where = ".".join(steps) or "study"
    if problem["type"] == "extra_forbidden":
        return f"{path}: {where}: unknown field{nearest(steps[-1], _fields_beside(problem['loc']))}"
    if problem["type"] == "model_type":
        fields = ", ".join(_fields_beside((*problem["loc"], "")))
        return f"{path}: {where}: fields are needed here ({fields}), found {problem['input']!r:.80}"
    if problem["type"] == "missing":
        return f"{path}: {where}: this field is needed and not there"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return f"{path}: {message}" if where == "study" else f"{path}: {where}: {message}"
    return f"{path}: {where}: {message[0].lower()}{message[1:]}, found {problem['input']!r:.120}"


def _fields_beside(location: tuple[int | str, ...]) -> list[str]:
    """Names of the fields allowed where an unknown one was found."""
    model: Any = Study
    for step in location[:-1]:
        if isinstance(step, str) and step in getattr(model, "model_fields", {}):
            annotation = model.model_fields[step].annotation
            model = next((m for m in _models_in(annotation)), model)
    return list(model.model_fields)


def _models_in(annotation: Any) -> list[Any]:
    found = [annotation] if inspect.isclass(annotation) and issubclass(annotation, BaseModel) else []
    for argument in getattr(annotation, "__args__", ()):
        found += _models_in(argument)
    return found
