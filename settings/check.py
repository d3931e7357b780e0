"""Checks the files of all environments, alone and against each other, and returns the settings of one."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from components.spec import ServiceSpec
from settings import rules
from settings.document import Document, parse, read
from settings.models import Settings
from settings.problems import Problem, SettingsError, details, nearest

# Where each part of Settings stands in a stack's file.
KEYS = {"account_id": "aws:allowedAccountIds", "region": "aws:region", "environment": "100xglobal:environment", "services": "100xglobal:services"}
OTHER_KEYS = {"aws:profile", "aws:assumeRoles", "aws:maxRetries", "aws:defaultTags"}  # Pulumi's own that may stand beside ours
TOP_KEYS = {"config", "secretsprovider", "encryptedkey", "encryptionsalt", "environment"}


def stack_of(path: Path) -> str:
    """Return the stack that a file belongs to: `beta` of Pulumi.beta.yaml."""
    return path.name.removeprefix("Pulumi.").removesuffix(".yaml")  # as sandbox/stack_files.py has it


def stack_files(folder: Path) -> list[Path]:
    """Return the stacks' files, in the order of their names."""
    return sorted(path for path in folder.glob("Pulumi.*.yaml") if path.is_file())


def check_folder(folder: Path, specs: Mapping[str, ServiceSpec], instead: Mapping[str, str] | None = None) -> tuple[dict[str, Settings], list[Problem]]:
    """Return each environment's settings, and every problem of all the files together. instead: texts that files would have."""
    found: dict[str, Settings] = {}
    documents: dict[str, Document] = {}
    problems: list[Problem] = []
    for path in stack_files(folder):
        text = (instead or {}).get(path.name)
        document = read(path) if text is None else parse(path.name, text)
        documents[stack_of(path)] = document
        settings, own = settings_of(document, stack_of(path), specs)
        problems += own
        if settings:
            found[stack_of(path)] = settings
    problems += rules.between(found, documents)
    return found, sorted(set(problems))


def settings_of(document: Document, stack: str, specs: Mapping[str, ServiceSpec]) -> tuple[Settings | None, list[Problem]]:
    """Return one file's settings, or None, with its problems."""
    problems = list(document.problems)
    if not document.values:
        return None, problems
    config = document.values.get("config")
    problems += [
        document.problem((key,), f"is not a key of a stack's file{suggest(key, TOP_KEYS)}. Settings stand below `config`") for key in document.values if key not in TOP_KEYS
    ]
    if not isinstance(config, dict):
        problems.append(document.problem(("config",), "must be a map with the keys " + ", ".join(KEYS.values())))
        return None, problems
    known = {*KEYS.values(), *OTHER_KEYS}
    for key in config:
        if key not in known and (key.startswith("100xglobal:") or ":" not in key):
            problems.append(document.problem(("config", key), f"is not a known key{suggest(key, known)}. Known: {', '.join(sorted(KEYS.values()))}", (key,)))
    settings, own = validate(config, document, stack, specs)
    return settings, problems + own


def validate(config: Mapping[str, Any], document: Document, stack: str, specs: Mapping[str, ServiceSpec]) -> tuple[Settings | None, list[Problem]]:
    """Return the settings of a stack's configuration, or None, with its problems. `Any`: what YAML or Pulumi holds."""
    accounts = config.get(KEYS["account_id"])
    if not (isinstance(accounts, list) and len(accounts) == 1):
        told = 'must be a list of one account in quotes, such as ["111111111111"]: with any other, a wrong credential would build this environment in the wrong account'
        problem = document.problem(("config", KEYS["account_id"]), told, (KEYS["account_id"],))
        accounts, extra = ["000000000000"], [problem]
    else:
        extra = []
    values = {"name": stack, "account_id": accounts[0], **{part: config[key] for part, key in KEYS.items() if part != "account_id" and config.get(key) is not None}}
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        return None, extra + [problem_at(document, location, told) for location, told in details(error, Settings)]
    problems = extra + rules.within(settings, document, specs)
    return settings, problems


def placed(location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Return where a part of Settings stands in the file."""
    if location and location[0] in KEYS:
        rest = location[1:] if location[0] != "account_id" else (0,)
        return ("config", KEYS[str(location[0])], *rest)
    return location


def problem_at(document: Document, location: tuple[str | int, ...], told: str) -> Problem:
    """Return a problem of a part of Settings, shown without the file's `config` and prefix."""
    if location == ("name",):
        return Problem(document.file, 0, 0, "", f"the stack's name, which is the environment's, {told}")
    return document.problem(placed(location), told, location)


def suggest(key: str, known: set[str]) -> str:
    """Return a suggestion, or nothing."""
    guess = nearest(key, known)
    return f"; did you mean {guess!r}?" if guess else ""


def value_of(text: str | None) -> Any:
    """Return a structured value of Pulumi's configuration; a text that is none comes back as it is, for the checks to tell."""
    try:
        return json.loads(text) if text is not None else None
    except ValueError:
        return text


def settings_of_stack(stack: str, values: Mapping[str, Any], folder: Path, specs: Mapping[str, ServiceSpec], warn: Callable[[str], None]) -> Settings:
    """Return a stack's settings as Pulumi gives them; SettingsError tells every problem of its file at once.

    The other environments' files are read too, as two can be wrong together. What is wrong in another's file alone is a
    warning here: somebody else's draft must not stop this environment.
    """
    file = folder / f"Pulumi.{stack}.yaml"
    _, problems = check_folder(folder, specs)
    own = [problem for problem in problems if problem.file == file.name]
    for problem in problems:
        if problem.file != file.name:
            warn(f"in another environment's file: {problem}")
    document = read(file) if file.is_file() else Document(file.name)
    settings, given = validate(values, document, stack, specs)
    if not file.is_file():
        own.append(Problem(file.name, 0, 0, "", "does not exist: Pulumi takes that as an environment that wants nothing, and would delete all that runs in it"))
    if own or given or settings is None:
        raise SettingsError({*own, *given})
    return settings
