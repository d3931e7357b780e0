"""Writes a new service: its file, and its block in each environment that is asked for."""

import re
from pathlib import Path

from settings.rules import SERVICE_NAME_LIMIT

PYTHON = '''"""{title}: say in a line what it does, at `{name}.`."""

from components.spec import FrontDoorRoute, ServiceSpec

SERVICE = ServiceSpec(
    name="{name}",
    host="{name}",
    balancer=FrontDoorRoute(priority={priority}),
)
'''
BLOCK = """    {name}:
      enabled: false # true switches it on
      release:
        version: 0.1.0
        image: 111111111111.dkr.ecr.us-east-1.amazonaws.com/{name}@sha256:{zeros}
        machine_image: ami-0123456789abcdef0
        database_engine: "16.9"
      sizing:
        instance_type: {instance_type}
        instances: {{minimum: {minimum}, maximum: {maximum}}}
        database: {{class: {database}, storage_gb: 20, multi_az: {multi_az}}}
"""
SMALL = {"instance_type": "t4g.small", "minimum": 1, "maximum": 2, "database": "db.t4g.micro", "multi_az": "false"}
LARGE = {"instance_type": "m7g.large", "minimum": 3, "maximum": 6, "database": "db.m7g.large", "multi_az": "true"}
PRIORITY_STEP = 100  # leaves room for redirects and for rules between


class CannotWriteError(Exception):
    """The service cannot be written; nothing was."""


def new_service(name: str, environments: list[str], folder: Path, priorities: list[int], known: list[str]) -> list[Path]:
    """Write a service, switched off; return the files written. Nothing is written unless all can be."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name) or len(name) > SERVICE_NAME_LIMIT:
        raise CannotWriteError(f"{name!r} cannot be a service: a host's label in lower-case letters, digits and -, at most {SERVICE_NAME_LIMIT} characters")
    module = folder / "services" / f"{name.replace('-', '_')}.py"
    if name in known or module.exists():
        raise CannotWriteError(f"there is a service {name} already ({module.name})")
    texts: dict[Path, str] = {}
    for environment in environments:
        file = folder / f"Pulumi.{environment}.yaml"
        if not file.is_file():
            raise CannotWriteError(
                f"there is no Pulumi.{environment}.yaml. Environments here: {', '.join(sorted(path.name.split('.')[1] for path in folder.glob('Pulumi.*.yaml')))}"
            )
        size = LARGE if environment == "prod" else SMALL
        block = BLOCK.format(name=name, zeros="0" * 64, **size)
        texts[file] = with_block(file.read_text(encoding="utf-8"), block, file.name)
    priority = (max(priorities, default=0) // PRIORITY_STEP + 1) * PRIORITY_STEP
    texts[module] = PYTHON.format(title=name.capitalize(), name=name, priority=priority)
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return list(texts)


def with_block(text: str, block: str, file: str) -> str:
    """Return a file's text with a service's block at the end of its services; every other byte stays."""
    lines = text.splitlines(keepends=True)
    start = next((index for index, line in enumerate(lines) if line.startswith("  100xglobal:services:")), None)
    if start is None:
        raise CannotWriteError(f"{file} has no line `  100xglobal:services:` to write below")
    end = start + 1
    while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
        end += 1
    while not lines[end - 1].strip():
        end -= 1
    if not lines[end - 1].endswith("\n"):
        lines[end - 1] += "\n"
    return "".join([*lines[:end], block, *lines[end:]])
