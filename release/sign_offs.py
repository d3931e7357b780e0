"""Sign-offs: files that accept one finding of the gate for one resource until a date."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from common.errors import InfraError
from release import journal
from release.findings import SIGNABLE_RULES, Rule
from release.stack_state import name_of, stack_of_urn

FOLDER = f"{journal.FOLDER}/{journal.SIGN_OFFS}"
MAXIMUM_DAYS = 30  # what should be accepted for longer is a rule, not an exception
FIELDS = ("urn", "rule", "reason", "by", "expires")
OLD_RULES = {"record": Rule.NOT_PROMOTED}  # how files written before November 2026 spell a rule


@dataclass(frozen=True)
class SignOff:
    """The acceptance of one rule's finding for one resource, with a reason. It is valid through the day `expires`."""

    urn: str
    rule: Rule
    reason: str
    by: str
    expires: date


class SignOffError(InfraError):
    """A sign-off cannot be read or written."""


def read(folder: Path, stack: str) -> list[SignOff]:
    """Return the sign-offs for a stack."""
    sign_offs = []
    for path in sorted((folder / FOLDER).glob("*.yaml")):
        name = path.relative_to(folder).as_posix()
        try:
            content = YAML(typ="safe").load(path.read_text(encoding="utf-8")) or []
        except (OSError, ValueError, YAMLError) as error:
            raise SignOffError(f"{name} cannot be read: {error}") from error
        entries = content if isinstance(content, list) else [content]
        sign_offs += [parse(entry, name) for entry in entries]
    return [sign_off for sign_off in sign_offs if stack_of_urn(sign_off.urn) == stack]


def parse(entry: object, source: str) -> SignOff:
    """Return the sign-off that a file's entry describes. source: the file's name, for messages."""
    requirement = f"A sign-off needs the keys {', '.join(FIELDS)}"
    if not isinstance(entry, Mapping):
        raise SignOffError(f"{source}: {entry!r} is not a map. {requirement}")
    missing = [key for key in FIELDS if not str(entry.get(key) or "").strip()]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise SignOffError(f"{source}: {', '.join(missing)} {verb} missing. {requirement}")
    return SignOff(
        urn=valid_urn(str(entry["urn"]), source),
        rule=valid_rule(entry["rule"], source),
        reason=str(entry["reason"]),
        by=str(entry["by"]),
        expires=valid_date(entry["expires"], source),
    )


def valid_urn(urn: str, source: str) -> str:
    """Return a URN, or refuse what is none."""
    if not urn.startswith("urn:pulumi:") or urn.count("::") < 3:  # noqa: PLR2004 stack, project, types, name
        raise SignOffError(f"{source}: {urn!r} is not a Pulumi URN. Copy it from the output of the gate")
    return urn


def valid_rule(value: Any, source: str) -> Rule:
    """Return a rule that can be signed off, or refuse the value."""
    rule = OLD_RULES.get(str(value), value)
    if rule not in SIGNABLE_RULES:
        raise SignOffError(
            f"{source}: the rule {value!r} cannot be signed off. Use one of: {', '.join(SIGNABLE_RULES)}"
        )
    return Rule(rule)


def valid_date(value: Any, source: str) -> date:
    """Return a date, or refuse what is none."""
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError as error:
        raise SignOffError(f"{source}: {value!r} is not a date such as 2026-11-30") from error


def write(folder: Path, sign_off: SignOff) -> Path:
    """Write a sign-off to a file of its own and return its path."""
    label = f"{stack_of_urn(sign_off.urn)}-{name_of(sign_off.urn)}-{sign_off.rule}-until-{sign_off.expires}"
    path = folder / FOLDER / f"{re.sub(r'[^A-Za-z0-9-]', '-', label)}.yaml"
    if path.exists():
        raise SignOffError(f"{path.relative_to(folder).as_posix()} already exists. Edit or delete that file")
    journal.write_yaml(path, {**asdict(sign_off), "rule": str(sign_off.rule), "expires": sign_off.expires})
    return path


def label(sign_off: SignOff) -> str:
    """Return how messages refer to a sign-off."""
    return f"the sign-off of {name_of(sign_off.urn)} ({sign_off.rule})"
