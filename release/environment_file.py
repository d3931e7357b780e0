"""Reading releases from environment files, and replacing one of them without touching anything else."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from release import release_block
from release.errors import RefusedError, Rule, refused
from settings.project_files import SERVICES_KEY, environment_file, environment_files

UNNAMED_FILE = "the environment file"
CHECK_COMMAND = "\n  ./infra check"  # shows every problem of the file with its location


def read_text(folder: Path, environment: str) -> str:
    """Return the text of an environment's file with its line ends unchanged."""
    file = environment_file(environment)
    try:
        return (folder / file).read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise refused(Rule.MISSING_FILE, f"{file} does not exist") from error
    except UnicodeDecodeError as error:
        raise refused(Rule.INVALID_FILE, f"{file} is not UTF-8 text. Save it as UTF-8") from error


def config_in(text: str, file: str = UNNAMED_FILE) -> Mapping[str, Any]:
    """Return the configuration in a file's text. file: its name, for messages. `Any`: whatever YAML can contain."""
    try:
        document = YAML(typ="safe").load(text)
    except YAMLError as error:
        message = f"{file} is not valid YAML: {yaml_reason(error)}. To check it:{CHECK_COMMAND}"
        raise refused(Rule.INVALID_FILE, message) from error
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict):
        raise refused(Rule.INVALID_FILE, f"{file} has no map `config`. To check it:{CHECK_COMMAND}")
    return config


def yaml_reason(error: YAMLError) -> str:
    """Return why a text is not valid YAML, and in which line."""
    if isinstance(error, MarkedYAMLError) and error.problem_mark:
        return f"{error.problem} in line {error.problem_mark.line + 1}"
    return str(error).partition("\n")[0]


def services_in(text: str, file: str = UNNAMED_FILE) -> Mapping[str, Any]:
    """Return the configuration of each service in a file's text. file: its name, for messages."""
    services = config_in(text, file).get(SERVICES_KEY)
    if not isinstance(services, dict):
        return {}
    return {name: block if isinstance(block, dict) else {} for name, block in services.items()}


def release_from(service_config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the release in a service's configuration; empty if there is none."""
    release = service_config.get("release")
    return release if isinstance(release, dict) else {}


def release_in(text: str, service: str, file: str = UNNAMED_FILE) -> dict[str, Any]:
    """Return a service's release in a file's text; empty if there is none. file: its name, for messages."""
    return release_from(services_in(text, file).get(service, {}))


def releases_in(text: str) -> dict[str, dict[str, Any]]:
    """Return the release of each enabled service in a file's text."""
    services = services_in(text)
    return {name: release_from(block) for name, block in services.items() if block and block.get("enabled", True)}


def readable_texts(folder: Path) -> list[str]:
    """Return the texts of all environment files that can be read; someone's unfinished draft must not block a hold."""
    texts = []
    for path in environment_files(folder):
        with contextlib.suppress(RefusedError, OSError, UnicodeDecodeError):
            text = path.read_text(encoding="utf-8")
            config_in(text)
            texts.append(text)
    return texts


def parse_release_block(block: str) -> dict[str, Any]:
    """Return the release that a block of text describes."""
    try:
        release: dict[str, Any] = YAML(typ="safe").load(block)["release"]
    except YAMLError as error:
        message = (
            f"the release block cannot be read on its own: {yaml_reason(error)} of the block. "
            "Write its values out, without anchors"
        )
        raise refused(Rule.INVALID_BLOCK, message) from error
    except (KeyError, TypeError) as error:
        raise refused(Rule.INVALID_BLOCK, "the text is not a release block, which starts with `release:`") from error
    return release


def with_release(text: str, service: str, block: str, environment: str) -> str:
    """Return a file's text with a service's release replaced. Refused if anything else would change."""
    file = environment_file(environment)
    before = services_in(text, file)
    new_text = release_block.with_release(text, service, block, file)
    expected = {**before, service: {**before[service], "release": parse_release_block(block)}}
    if services_in(new_text, file) != expected:
        raise refused(
            Rule.INVALID_BLOCK,
            f"replacing the release of {service} in {file} would change more than that release. "
            "Copy the block by hand and report this as a bug",
        )
    return new_text
