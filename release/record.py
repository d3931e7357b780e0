"""The record of what was promoted, rolled back and held: one small file an event, so that two teams never write the same."""

import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from ruamel.yaml import YAML

FOLDER = "releases"
EventKind = Literal["promote", "hotfix", "rollback", "hold", "release-hold"]


@dataclass(frozen=True)
class Event:
    """One event. at: UTC, ISO 8601. image: of the release it is about. environment: where it went, or was held.

    block: what the environment's file had before, so that a rollback can put it back. checks: what was looked at, in words.
    """

    kind: EventKind
    service: str
    version: str
    image: str
    at: str
    by: str
    environment: str = ""
    source: str = ""
    reason: str = ""
    checks: list[str] = field(default_factory=list)
    block: str = ""

    def file_name(self) -> str:
        """Return its file's name, which sorts by time and says what it is about."""
        stamp = re.sub(r"\D", "", self.at)[:20]
        return "-".join(filter(None, [stamp, self.kind, self.version.replace("/", "_"), self.environment])) + ".yaml"


class RecordError(Exception):
    """The record cannot be read."""


def author(folder: Path) -> str:
    """Return who this is, as git has it."""
    values = [subprocess.run(["git", "config", key], cwd=folder, capture_output=True, text=True, check=False).stdout.strip() for key in ("user.name", "user.email")]
    return f"{values[0]} <{values[1]}>" if values[1] else values[0] or os.environ.get("USER", "unknown")


def now(clock: datetime) -> str:
    """Return a time as the record writes it."""
    return clock.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def write(folder: Path, event: Event) -> Path:
    """Write an event; the file is new, always."""
    target = folder / FOLDER / event.service / event.file_name()
    target.parent.mkdir(parents=True, exist_ok=True)
    yaml = YAML()
    yaml.width = 200
    with target.open("x", encoding="utf-8") as file:
        yaml.dump({key: value for key, value in asdict(event).items() if value}, file)
    return target


def read(folder: Path, service: str | None = None) -> list[Event]:
    """Return the events of a service, or of all, the oldest first."""
    yaml = YAML(typ="safe")
    events: list[Event] = []
    for path in sorted((folder / FOLDER).glob(f"{service or '*'}/*.yaml")):
        try:
            events.append(Event(**yaml.load(path.read_text(encoding="utf-8"))))
        except (OSError, TypeError, ValueError) as error:
            raise RecordError(f"{path.relative_to(folder)} is no record of an event ({error}): restore it from git") from error
    return sorted(events, key=lambda event: event.at)


def held(events: Iterable[Event], service: str, version: object, image: object) -> Event | None:
    """Return the hold that stands on a release, if one does: the last word counts."""
    last = None
    for event in events:
        if (event.service, event.version, event.image) == (service, str(version), str(image)) and event.kind in {"hold", "release-hold"}:
            last = event
    return last if last and last.kind == "hold" else None
