"""Writes a new service: its spec in services/, and a disabled block in each environment file."""

from collections.abc import Collection, Sequence
from enum import StrEnum
from pathlib import Path

from common.errors import InfraError
from settings.project_files import SERVICES_KEY, environment_file, environment_names
from settings.rules.production import PRODUCTION
from settings.rules.services import SERVICE_NAME_LIMIT
from settings.service_spec import SERVICE_NAME

SPEC = '''"""{title}: describe in one line what it does, at `{name}.`."""

from settings.service_spec import ServiceSpec, SharedLoadBalancerRule

SERVICE = ServiceSpec(
    name="{name}",
    host="{name}",
    balancer=SharedLoadBalancerRule(priority={priority}),
)
'''
BLOCK = """    {name}:
      enabled: false # set it to true to create the service
      release:
        version: 0.1.0
        image: 111111111111.dkr.ecr.us-east-1.amazonaws.com/{name}@sha256:{zeros}
        machine_image: ami-0123456789abcdef0
        database_engine: "16.13"
      sizing:
        instance_type: {instance_type}
        instances: {{minimum: {minimum}, maximum: {maximum}}}
        database: {{class: {database}, storage_gb: 20, multi_az: {multi_az}}}
"""
SMALL = {"instance_type": "t4g.small", "minimum": 1, "maximum": 2, "database": "db.t4g.micro", "multi_az": "false"}
LARGE = {"instance_type": "m7g.large", "minimum": 3, "maximum": 6, "database": "db.m7g.large", "multi_az": "true"}
PRIORITY_STEP = 100  # leaves room for redirects, and for later rules in between


class Obstacle(StrEnum):
    """Why a service cannot be written."""

    INVALID_NAME = "invalid-name"
    NAME_TOO_LONG = "name-too-long"
    EXISTING_SERVICE = "existing-service"
    MISSING_FILE = "missing-file"
    MISSING_KEY = "missing-key"


class CannotWriteError(InfraError):
    """The service cannot be written, and no file was changed."""

    def __init__(self, obstacle: Obstacle, message: str) -> None:
        """Keep the obstacle for callers."""
        super().__init__(message)
        self.obstacle = obstacle


def new_service(
    name: str, environments: Sequence[str], folder: Path, priorities: Collection[int], service_names: Collection[str]
) -> list[Path]:
    """Write a service and return the paths of the files; raise CannotWriteError before anything is written.

    priorities, service_names: those that other services use.
    """
    module = folder / "services" / f"{name.replace('-', '_')}.py"
    _check_name(name, module, service_names)
    texts = {
        folder / environment_file(environment): _with_service(folder, environment, name) for environment in environments
    }
    priority = (max(priorities, default=0) // PRIORITY_STEP + 1) * PRIORITY_STEP
    texts[module] = SPEC.format(title=name.capitalize(), name=name, priority=priority)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return list(texts)


def _check_name(name: str, module: Path, service_names: Collection[str]) -> None:
    """Refuse a name that AWS or DNS does not allow, or that a service already has."""
    if not SERVICE_NAME.fullmatch(name):
        message = (
            f"`{name}` cannot be the name of a service, because it becomes a host. "
            "Use lower-case letters, digits and hyphens, starting with a letter."
        )
        raise CannotWriteError(Obstacle.INVALID_NAME, message)
    if len(name) > SERVICE_NAME_LIMIT:
        message = (
            f"`{name}` has {len(name)} characters, but a service's name can have at most {SERVICE_NAME_LIMIT}: "
            "AWS limits the names of target groups that contain it. Choose a shorter name."
        )
        raise CannotWriteError(Obstacle.NAME_TOO_LONG, message)
    if name in service_names or module.exists():
        message = f"the service {name} already exists (services/{module.name}). Choose another name."
        raise CannotWriteError(Obstacle.EXISTING_SERVICE, message)


def _with_service(folder: Path, environment: str, name: str) -> str:
    """Return the text of an environment's file with a block for the service."""
    file = folder / environment_file(environment)
    if not file.is_file():
        environments = ", ".join(environment_names(folder)) or "none"
        message = f"{file.name} does not exist. Environments: {environments}."
        raise CannotWriteError(Obstacle.MISSING_FILE, message)
    block = BLOCK.format(name=name, zeros="0" * 64, **(LARGE if environment == PRODUCTION else SMALL))
    return _with_block(file.read_text(encoding="utf-8"), block, file.name)


def _with_block(text: str, block: str, file: str) -> str:
    """Return a text with a block at the end of its services, and everything else unchanged."""
    lines = text.splitlines(keepends=True)
    header = f"  {SERVICES_KEY}:"
    start = next((index for index, line in enumerate(lines) if line.startswith(header)), None)
    if start is None:
        message = f"{file} has no line `{header}` to add the service to. Add the line."
        raise CannotWriteError(Obstacle.MISSING_KEY, message)
    end = start + 1
    while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
        end += 1
    while not lines[end - 1].strip():
        end -= 1
    if not lines[end - 1].endswith("\n"):
        lines[end - 1] += "\n"
    return "".join([*lines[:end], block, *lines[end:]])
