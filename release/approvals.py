"""Approvals: files that accept exact changes which the gate does not expect."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from common.errors import InfraError
from release import journal
from release.changes import Change, value_digest

NAME = "approvals"
FOLDER = f"{journal.FOLDER}/{NAME}"
MAXIMUM_DAYS = 30  # what should be accepted for longer belongs into the reviewed data or the environment file
CHANGE_FIELDS = ("urn", "operation", "property", "old", "new")


class ApprovalError(InfraError):
    """An approval cannot be read or written."""


@dataclass(frozen=True)
class Approval:
    """The acceptance of exact changes of one owner in one environment.

    Attributes:
        file: Its file, relative to the repository.
        environment: The environment.
        owner: The service, or `foundation`. CODEOWNERS decides who may add files to its folder.
        reason: Why.
        by: Who, as git knows them.
        expires: The last day on which it is valid.
        changes: The approved changes: URN, operation, property, digest of the old value, digest of the new value.
    """

    file: str
    environment: str
    owner: str
    reason: str
    by: str
    expires: date
    changes: frozenset[tuple[str, ...]]

    def covers(self, change: Change) -> bool:
        """Tell whether exactly this change is approved, by those who may decide about its owner's resources."""
        return change.owner == self.owner and identity(change) in self.changes


def identity(change: Change) -> tuple[str, ...]:
    """Return what identifies a change in a file, without its values."""
    return (change.urn, change.operation, change.property, value_digest(change.old), value_digest(change.new))


def read(folder: Path, environment: str) -> list[Approval]:
    """Return the approvals for an environment."""
    approvals = []
    for path in sorted((folder / FOLDER).glob("*/*.yaml")):
        name = path.relative_to(folder).as_posix()
        try:
            content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
            approval = parse(content, name, path.parent.name)
        except (OSError, ValueError, KeyError, TypeError, YAMLError) as error:
            reason = (
                f"{error.args[0]} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())[:200]
            )
            raise ApprovalError(
                f"{name} is not a valid approval ({reason}). Restore it from git, or delete it"
            ) from error
        approvals.append(approval)
    return [approval for approval in approvals if approval.environment == environment]


def parse(content: Any, name: str, owner: str) -> Approval:
    """Return the approval in a file's content. owner: the file's folder, which CODEOWNERS protects."""
    if not isinstance(content, Mapping):
        raise ValueError("it is not a map")  # noqa: TRY004 the caller reports what is wrong with the file
    if not isinstance(content["changes"], list) or not all(isinstance(entry, Mapping) for entry in content["changes"]):
        raise ValueError("changes is not a list of maps")
    if content["owner"] != owner:
        message = f"it is for {content['owner']}, but its folder is {owner}"
        raise ValueError(message)
    expires = content["expires"]
    for key in ("environment", "reason", "by"):
        if not str(content[key]).strip():
            message = f"{key} is empty"
            raise ValueError(message)
    return Approval(
        file=name,
        environment=str(content["environment"]),
        owner=owner,
        reason=str(content["reason"]),
        by=str(content["by"]),
        expires=expires if isinstance(expires, date) else date.fromisoformat(str(expires)),
        changes=frozenset(tuple(str(entry[key]) for key in CHANGE_FIELDS) for entry in content["changes"]),
    )


def write(
    folder: Path, environment: str, changes: Sequence[Change], *, reason: str, by: str, expires: date, now: datetime
) -> list[Path]:
    """Write the approval of changes, one file per owner, and return the files."""
    paths = []
    for owner in sorted({change.owner for change in changes}):
        own = [change for change in changes if change.owner == owner]
        stamp = re.sub(r"\D", "", journal.timestamp(now))[:14]
        path = folder / FOLDER / owner / f"{stamp}-{environment}.yaml"
        if path.exists():
            raise ApprovalError(f"{path.relative_to(folder)} already exists. Run the same command again")
        entries = [dict(zip(CHANGE_FIELDS, identity(change), strict=True)) for change in own]
        values = {"environment": environment, "owner": owner, "reason": reason, "by": by, "expires": expires}
        journal.write_yaml(path, {**values, "changes": entries})
        paths.append(path)
    return paths


def valid(approvals: Iterable[Approval], today: date) -> list[Approval]:
    """Return the approvals that are valid on a day."""
    return [approval for approval in approvals if 0 <= (approval.expires - today).days <= MAXIMUM_DAYS]
