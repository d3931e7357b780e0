"""Checks the files of all environments, alone and against each other, and returns the settings of one."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from settings.lifecycle import warnings
from settings.model_errors import violations_of
from settings.models import Settings
from settings.problems import Location, Problem, Rule, SettingsError, Violation, did_you_mean
from settings.project_files import (
    ACCOUNTS_KEY,
    ENVIRONMENT_KEY,
    PROFILE_KEY,
    PROJECT,
    REGION_KEY,
    SERVICES_KEY,
    environment_file,
    environment_files,
    environment_of,
)
from settings.rules import check_environment
from settings.rules.across_environments import check_environments
from settings.service_spec import ServiceSpec
from settings.yaml_document import YamlDocument, parse, read

# The configuration key of each part of Settings. The environment's name is the stack's, so it has none.
CONFIG_KEYS = {
    "account_id": ACCOUNTS_KEY,
    "region": REGION_KEY,
    "environment": ENVIRONMENT_KEY,
    "services": SERVICES_KEY,
}
PROVIDER_KEYS = {PROFILE_KEY, "aws:assumeRoles", "aws:maxRetries", "aws:defaultTags"}  # configure the AWS provider
PULUMI_KEYS = {"config", "secretsprovider", "encryptedkey", "encryptionsalt", "environment"}  # of any stack's file
PLACEHOLDER_ACCOUNT = "000000000000"  # stands in for an invalid account, so that everything else is still checked


def check_folder(
    folder: Path, specs: Mapping[str, ServiceSpec], text_overrides: Mapping[str, str] | None = None
) -> tuple[dict[str, Settings], list[Problem]]:
    """Return the settings of each valid environment, and the problems of all files, sorted.

    text_overrides: texts to check in place of the files of these names, such as a promotion that is not written yet.
    """
    environments: dict[str, Settings] = {}
    documents: dict[str, YamlDocument] = {}
    problems: list[Problem] = []
    for path in environment_files(folder):
        text = (text_overrides or {}).get(path.name)
        name = environment_of(path)
        documents[name] = read(path) if text is None else parse(path.name, text)
        settings, own_problems = check_document(documents[name], name, specs)
        problems += own_problems
        if settings:
            environments[name] = settings
    problems += [problem_at(documents[name], violation) for name, violation in check_environments(environments, specs)]
    return environments, sorted(set(problems))


def check_document(
    document: YamlDocument, environment: str, specs: Mapping[str, ServiceSpec]
) -> tuple[Settings | None, list[Problem]]:
    """Return the settings in one file, or None if they are invalid, with the file's problems."""
    problems = list(document.problems)
    if not document.values:
        return None, problems
    problems += [
        document.problem(
            (key,), Rule.UNKNOWN_KEY, f"unknown key.{did_you_mean(key, PULUMI_KEYS)} Settings belong below `config`."
        )
        for key in document.values
        if key not in PULUMI_KEYS
    ]
    config = document.values.get("config")
    if not isinstance(config, dict):
        message = f"must be a map with the keys {', '.join(CONFIG_KEYS.values())}."
        return None, [*problems, document.problem(("config",), Rule.MISSING_CONFIG, message)]
    known_keys = {*CONFIG_KEYS.values(), *PROVIDER_KEYS}
    for key in config:
        is_ours = key.startswith(f"{PROJECT}:") or ":" not in key
        if is_ours and key not in known_keys:
            message = (
                f"unknown key.{did_you_mean(key, known_keys)} Known keys: {', '.join(sorted(CONFIG_KEYS.values()))}."
            )
            problems.append(document.problem(("config", key), Rule.UNKNOWN_KEY, message, (key,)))
    settings, own_problems = check_config(config, document, environment, specs)
    return settings, problems + own_problems


def check_config(
    config: Mapping[str, Any], document: YamlDocument, environment: str, specs: Mapping[str, ServiceSpec]
) -> tuple[Settings | None, list[Problem]]:
    """Return the settings in a stack's configuration, or None if they are invalid, with their problems.

    document: the file that the configuration comes from, for the positions. `Any`: whatever YAML or JSON can contain.
    """
    problems: list[Problem] = []
    accounts = config.get(ACCOUNTS_KEY)
    if not (isinstance(accounts, list) and len(accounts) == 1):
        message = (
            'must be a list of exactly one account ID in quotes, such as ["111111111111"]. Otherwise the wrong '
            "credentials would create this environment in another account."
        )
        location: Location = ("config", ACCOUNTS_KEY)
        problems.append(document.problem(location, Rule.INVALID_ACCOUNT_LIST, message, (ACCOUNTS_KEY,)))
        accounts = [PLACEHOLDER_ACCOUNT]
    values = {part: config[key] for part, key in CONFIG_KEYS.items() if config.get(key) is not None}
    try:
        settings = Settings.model_validate(values | {"name": environment, "account_id": accounts[0]})
    except ValidationError as error:
        violations = violations_of(error, Settings)
        return None, problems + [problem_at(document, violation) for violation in violations]
    return settings, problems + [problem_at(document, violation) for violation in check_environment(settings, specs)]


def problem_at(document: YamlDocument, violation: Violation) -> Problem:
    """Return the problem of a file that breaks a rule. It shows the path without `config` and the key's namespace."""
    location, rule, message = violation
    if location == ("name",):  # from the name of the file or stack, so it has no position in the file
        message = f"the environment's name is invalid: {message} Rename the file and the stack."
        return Problem(document.file, 0, 0, "", message, Rule.INVALID_ENVIRONMENT_NAME)
    part, *steps = location
    if part == "account_id" and rule is not Rule.SHARED_ACCOUNT:
        steps = [0]  # the account is the only item of a list
    return document.problem(("config", CONFIG_KEYS[str(part)], *steps), rule, message, location)


def parse_config_value(text: str | None) -> Any:
    """Return a structured value of Pulumi's configuration; other text unchanged, for the checks to report."""
    try:
        return json.loads(text) if text is not None else None
    except ValueError:
        return text


def settings_of_stack(
    stack: str, config: Mapping[str, Any], folder: Path, specs: Mapping[str, ServiceSpec], warn: Callable[[str], None]
) -> Settings:
    """Return a stack's settings from the configuration that Pulumi passes; raise SettingsError with all its problems.

    The other environments' files are checked too, because two environments can be in conflict. A problem that only
    concerns another environment is a warning: someone else's draft must not block this one.
    """
    file = folder / environment_file(stack)
    problems: set[Problem] = set()
    for problem in check_folder(folder, specs)[1]:
        if problem.file == file.name:
            problems.add(problem)
        else:
            warn(f"problem in another environment's file: {problem}")
    document = read(file) if file.is_file() else YamlDocument(file.name)
    settings, own_problems = check_config(config, document, stack, specs)
    problems.update(own_problems)
    if not file.is_file():
        message = (
            "the file does not exist. Pulumi would treat the environment as empty and delete all of its resources. "
            "Restore the file."
        )
        problems.add(Problem(file.name, 0, 0, "", message, Rule.MISSING_FILE))
    if problems or settings is None:
        raise SettingsError(problems)
    for warning in warnings(settings, datetime.now(UTC).date()):
        warn(warning)
    return settings
