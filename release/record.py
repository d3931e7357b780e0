"""The record of what was promoted, arrived, was rolled back and held: one small file an event, so that two teams never write the same."""

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

FOLDER = "releases"
SANDBOX = "sandbox"
EventKind = Literal["promote", "hotfix", "rollback", "arrive", "fail", "hold", "release-hold"]
MOVES = frozenset({"promote", "hotfix", "rollback"})  # what writes a release into an environment's file


@dataclass(frozen=True)
class Event:
    """One event. at: UTC, ISO 8601. image: of the release it is about. environment: where it went, arrived or failed.

    place: where it was asked for, `sandbox` or `aws`: what happened in the one says nothing of the other. release: the
    fingerprint of the whole release. restored: of the one that a rollback went back to, which may have kept a newer database.
    block: what the environment's file had before, so that a rollback can put it back. checks: what was looked at, in words.
    gates: what the gate said, and what somebody overrode.
    """

    kind: EventKind
    service: str
    version: str
    image: str
    at: str
    by: str
    environment: str = ""
    source: str = ""
    place: str = ""
    reason: str = ""
    release: str = ""
    restored: str = ""
    checks: list[str] = field(default_factory=list)
    gates: list[str] = field(default_factory=list)
    block: str = ""

    def file_name(self) -> str:
        """Return its file's name, which sorts by time and says what it is about."""
        stamp = re.sub(r"\D", "", self.at)[:20]
        return "-".join(filter(None, [stamp, self.kind, re.sub(r"[^A-Za-z0-9.+-]", "_", self.version), self.environment])) + ".yaml"


class RecordError(Exception):
    """The record cannot be read or written."""


def author(folder: Path) -> str:
    """Return who this is, as git has it."""
    values = [subprocess.run(["git", "config", key], cwd=folder, capture_output=True, text=True, check=False).stdout.strip() for key in ("user.name", "user.email")]
    return f"{values[0]} <{values[1]}>" if values[1] else values[0] or os.environ.get("USER", "unknown")


def now(clock: datetime) -> str:
    """Return a time as the record writes it."""
    return clock.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file by new content, or leave it as it was: never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(temporary).chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_new(path: Path, values: Mapping[str, Any]) -> None:
    """Write a small YAML file whole."""
    yaml = YAML()
    yaml.width = 200
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as scratch:
        yaml.dump(dict(values), scratch)
        scratch.seek(0)
        write_whole(path, scratch.read().encode())


def write(folder: Path, event: Event) -> Path:
    """Write an event; its file is new, always."""
    target = folder / FOLDER / event.service / event.file_name()
    if target.exists():
        raise RecordError(f"{target.relative_to(folder)} is there already: two events at one microsecond; run the same command again")
    write_new(target, {key: value for key, value in asdict(event).items() if value})
    return target


def read(folder: Path, service: str | None = None) -> list[Event]:
    """Return the events of a service, or of all, the oldest first."""
    yaml = YAML(typ="safe")
    events: list[Event] = []
    for path in sorted((folder / FOLDER).glob(f"{service or '*'}/*.yaml")):
        if path.parent.name == "sign-offs":
            continue
        try:
            event = Event(**yaml.load(path.read_text(encoding="utf-8")))
            events.append(replace(event, at=now(event.at) if isinstance(event.at, datetime) else event.at, version=str(event.version)))  # a hand took the quotes
        except (OSError, TypeError, ValueError, YAMLError) as error:
            raise RecordError(f"{path.relative_to(folder)} is no record of an event ({error}): restore it from git") from error
    return sorted(events, key=lambda event: event.at)


def held(events: Iterable[Event], service: str, version: object, image: object) -> Event | None:
    """Return the hold that stands on a release, if one does: the last word counts."""
    last = None
    for event in events:
        if (event.service, event.version, event.image) == (service, str(version), str(image)) and event.kind in {"hold", "release-hold"}:
            last = event
    return last if last and last.kind == "hold" else None


def counts_in(event: Event, place: str) -> bool:
    """Tell whether an event says something of a place: what was asked for on AWS may run in a sandbox, and not the other way round."""
    return place in {SANDBOX, event.place}


def last_move(events: Sequence[Event], service: str, environment: str, place: str) -> Event | None:
    """Return the last promotion or rollback of a service into an environment that counts in a place."""
    here = [event for event in events if (event.service, event.environment) == (service, environment) and counts_in(event, place)]
    return next((event for event in reversed(here) if event.kind in MOVES), None)


def on_its_way(events: Sequence[Event], service: str, environment: str, place: str) -> Event | None:
    """Return the move of a service into an environment that the record does not know to have arrived."""
    here = [event for event in events if event.place == place]
    move = last_move(here, service, environment, place)
    arrivals = [event for event in events if event.kind == "arrive" and (event.service, event.environment, event.place) == (service, environment, place)]
    return None if move and any(event.at >= move.at for event in arrivals) else move
