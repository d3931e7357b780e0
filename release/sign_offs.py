"""Somebody's word that a finding of the gate is meant: one small file each, so that two teams never write the same."""

import re
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from release.deployed import name_of, stack_of
from release.record import write_new

FOLDER = "releases/sign-offs"
LONGEST_DAYS = 30  # what is meant for longer than a month is a rule, not an exception
RULES = ("outside", "data", "protect", "widening", "provider", "record")  # what is pending or held cannot be signed off


@dataclass(frozen=True)
class SignOff:
    """One word: that what a rule refuses of a URN is meant, with a reason, until the end of a day."""

    urn: str
    rule: str
    reason: str
    by: str
    expires: date


class SignOffError(Exception):
    """A sign-off cannot be read or written; the text says which, and what it needs."""


def read(folder: Path, stack: str) -> list[SignOff]:
    """Return the sign-offs for a stack."""
    found: list[SignOff] = []
    for path in sorted((folder / FOLDER).glob("*.yaml")):
        where = path.relative_to(folder).as_posix()
        try:
            content = YAML(typ="safe").load(path.read_text(encoding="utf-8")) or []
        except (OSError, ValueError, YAMLError) as error:
            raise SignOffError(f"{where} cannot be read: {error}") from error
        found += [sign_off(entry, where) for entry in (content if isinstance(content, list) else [content])]
    return [sign for sign in found if stack_of(sign.urn) == stack]


def sign_off(entry: object, where: str) -> SignOff:
    """Return a sign-off as a file has it."""
    needs = f"{where}: a sign-off needs urn, rule ({', '.join(RULES)}), reason, by and expires (YYYY-MM-DD)"
    if not isinstance(entry, dict):
        raise SignOffError(f"{needs}, and this is {entry!r}")
    missing = [key for key in ("urn", "rule", "reason", "by", "expires") if not str(entry.get(key) or "").strip()]
    if missing:
        raise SignOffError(f"{needs}; {', '.join(missing)} is missing")
    if entry["rule"] not in RULES:
        raise SignOffError(f"{needs}; {entry['rule']!r} is no such rule")
    try:
        expires = date.fromisoformat(str(entry["expires"])[:10])
    except ValueError as error:
        raise SignOffError(f"{needs}; {entry['expires']!r} is no day") from error
    return SignOff(str(entry["urn"]), str(entry["rule"]), str(entry["reason"]), str(entry["by"]), expires)


def write(folder: Path, sign: SignOff) -> Path:
    """Write a sign-off into a file of its own; SignOffError where it stands already."""
    name = re.sub(r"[^A-Za-z0-9-]", "-", f"{stack_of(sign.urn)}-{name_of(sign.urn)}-{sign.rule}-until-{sign.expires}")
    path = folder / FOLDER / f"{name}.yaml"
    if path.exists():
        raise SignOffError(f"{path.relative_to(folder).as_posix()} is there already: change that, or take it away")
    write_new(path, {**asdict(sign), "expires": sign.expires})
    return path
