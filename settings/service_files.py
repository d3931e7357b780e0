"""Reads the files in services/, and reports what is wrong with them as problems instead of tracebacks."""

import importlib
import pkgutil
import re
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from settings import service_spec
from settings.problems import Problem, Rule, SettingsError, did_you_mean, nearest_name
from settings.service_spec import ServiceSpec

VARIABLE = "SERVICE"
RULE = Rule.BROKEN_SERVICE_FILE
MISSING, MISSPELLED, POSITIONAL = "missing", "unexpected_keyword_argument", "unexpected_positional_argument"
SPEC_TYPES = {name: value for name, value in vars(service_spec).items() if isinstance(value, type)}


def read_services(package: str, folders: Iterable[str]) -> dict[str, ServiceSpec]:
    """Return the service that each module of a package defines, by name, sorted by the names of the files.

    Raise SettingsError with the problems of all files.
    """
    specs: dict[str, ServiceSpec] = {}
    problems: list[Problem] = []
    for folder in folders:
        for name in sorted(module.name for module in pkgutil.iter_modules([folder])):
            found = _read(package, Path(folder) / f"{name}.py")
            if isinstance(found, ServiceSpec):
                specs[found.name] = found
            else:
                problems += found
    if problems:
        raise SettingsError(problems)
    return specs


def _read(package: str, path: Path) -> ServiceSpec | list[Problem]:
    """Return the service that a file defines, or the problems of the file."""
    file = f"{package}/{path.name}"
    try:
        module = importlib.import_module(f"{package}.{path.stem}")
    except ValidationError as error:
        line = _line_in(path, error)
        return [
            Problem(file, line, 1, _argument(details), _describe_value(error.title, details), RULE)
            for details in _independent_errors(error)
        ]
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 a file can raise anything, also SystemExit, which would end the update
        return [Problem(file, _line_in(path, error), 1, "", _describe_error(error), RULE)]
    spec = getattr(module, VARIABLE, None)
    if not isinstance(spec, ServiceSpec):
        found = f"defines no {VARIABLE}" if spec is None else f"defines {VARIABLE} as a {type(spec).__name__}"
        message = f"{found}. Each file in {package}/ must define a service: {VARIABLE} = ServiceSpec(...)."
        return [Problem(file, 1, 1, "", message, RULE)]
    if spec.name.replace("-", "_") != path.stem:
        message = f"is {spec.name!r}, but the file is called {path.name}. Give both the same name."
        return [Problem(file, 1, 1, "name", message, RULE)]
    return spec


def _argument(details: ErrorDetails) -> str:
    """Return the name of the argument that an error is about; empty if it has none."""
    name = next(iter(details["loc"]), "")
    return name if isinstance(name, str) else ""


def _independent_errors(error: ValidationError) -> Iterator[ErrorDetails]:
    """Yield the errors that have a cause of their own.

    An argument that is misspelled or has no name is missing as well, and a value that fits no type of a union has an
    error for each of them.
    """
    errors = error.errors(include_url=False)
    misspelled = [str(details["loc"][-1]) for details in errors if details["type"] == MISSPELLED]
    expected = {nearest_name(name, _arguments(error.title)) for name in misspelled}
    has_positional = any(details["type"] == POSITIONAL for details in errors)
    seen: set[str] = set()
    for details in errors:
        field = _argument(details)
        is_consequence = details["type"] == MISSING and (has_positional or field in expected)
        if field not in seen and not is_consequence:
            seen.add(field)
            yield details


def _line_in(path: Path, error: BaseException) -> int:
    """Return the line of a file that an error comes from: the last one that ran, or the one that cannot be parsed."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or 1
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno or 1 for frame in reversed(frames) if frame.filename == str(path)), 1)


def _describe_error(error: BaseException) -> str:
    """Return why a file cannot be executed."""
    if isinstance(error, SyntaxError):
        return f"is not valid Python: {error.msg}."
    if isinstance(error, SystemExit):
        return "ends the program. Nothing would be registered, and an update would delete everything. Remove the call."
    if isinstance(error, ImportError | NameError):
        message = re.sub(r" \([^()]*\)$", "", str(error))  # without the path of the module that lacks the name
        quoted = re.search(r"'([^']+)'", message)
        return f"{message}.{did_you_mean(quoted[1], SPEC_TYPES) if quoted else ''}"
    return f"raises {type(error).__name__}: {error}"


def _describe_value(type_name: str, details: ErrorDetails) -> str:
    """Return what is wrong with an argument of one of the types in settings/service_spec.py."""
    kind, value = details["type"], details["input"]
    if kind == MISSPELLED:
        arguments = _arguments(type_name)
        name = str(details["loc"][-1])
        return f"{type_name} has no such argument.{did_you_mean(name, arguments)} It has: {', '.join(arguments)}."
    if kind == MISSING:
        return f"{type_name} requires this argument."
    if kind == POSITIONAL:
        return f"{type_name} takes its arguments by name: {', '.join(_arguments(type_name))}."
    if kind == service_spec.INVALID:
        return details["msg"]
    if kind in {"dataclass_type", "dataclass_exact_type"}:
        class_name = details["ctx"]["class_name"]
        return f"{value!r} cannot be used: it must be of a type in settings/service_spec.py, such as {class_name}."
    message = details["msg"]
    return f"{value!r} cannot be used: {message[:1].lower()}{message[1:]}."


def _arguments(type_name: str) -> list[str]:
    """Return the names of the arguments of one of the types in settings/service_spec.py."""
    return list(getattr(SPEC_TYPES.get(type_name), "__dataclass_fields__", ()))
