"""The journal of promotions, deployments, rollbacks and holds.

Each event is a small file of its own, so that two teams never edit the same file.
"""

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any, Literal

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from common.files import exclusive_lock, user_cache, write_atomically
from release.errors import JournalError
from release.stack_state import fingerprint as fingerprint_of

FOLDER = "releases"
NOT_EVENTS = frozenset({"approvals", "sign-offs"})  # folders below FOLDER that contain no events
SANDBOX = "sandbox"
EventKind = Literal["promote", "hotfix", "rollback", "deployed", "failed", "hold", "unhold"]
MOVES = frozenset({"promote", "hotfix", "rollback"})  # the events that write a release into an environment file
YAML_WIDTH = 200  # wide enough that a reason stays on one line

# How files written before November 2026 spell what has another name today.
OLD_KINDS = {"arrive": "deployed", "fail": "failed", "release-hold": "unhold"}
OLD_FIELDS = {
    "place": "backend",
    "release": "fingerprint",
    "restored": "restored_fingerprint",
    "block": "previous_block",
}
OLD_SIGN_OFF = "overridden: "
DIGESTS_SINCE = "2026-11-25"  # events before this day have no digest
CLOCK_SKEW = timedelta(minutes=5)  # how far the clocks of two machines may differ


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event.

    Attributes:
        kind: What happened.
        service: The service that it happened to.
        version: The release's version.
        image: The release's container image.
        at: When, in UTC (ISO 8601).
        by: Who, as git knows them.
        environment: Where the release moved to, was deployed or failed; empty for a hold, which applies everywhere.
        source: The environment that the release came from.
        backend: Where it happened, `sandbox` or `aws`. What happened in the sandbox proves nothing about AWS.
        reason: Why, in the words of whoever ran the command.
        fingerprint: The release's fingerprint.
        restored_fingerprint: Of a rollback: the fingerprint of the restored release as it was. It differs from
            `fingerprint` if a newer database engine was kept.
        checks: What was verified before the move.
        gate: The result of the gate.
        phase: Of a failure: `update` if Pulumi's update failed, `servers` if the servers were unhealthy afterwards.
        approvals: The files of the approvals that the gate needed.
        sign_offs: The sign-offs that the gate accepted, in events written before approvals replaced them.
        digest: A digest of the other fields, which `write` adds.
        previous_block: The release block that the environment file contained before, for a later rollback.
    """

    kind: EventKind
    service: str
    version: str
    image: str
    at: str
    by: str
    environment: str = ""
    source: str = ""
    backend: str = ""
    reason: str = ""
    fingerprint: str = ""
    restored_fingerprint: str = ""
    checks: list[str] = field(default_factory=list)
    gate: list[str] = field(default_factory=list)
    phase: Literal["", "update", "servers"] = ""
    approvals: list[str] = field(default_factory=list)
    sign_offs: list[str] = field(default_factory=list)
    previous_block: str = ""
    digest: str = field(default="", compare=False)

    def content_digest(self) -> str:
        """Return a digest of everything else in the event. It notices edits by hand, not forgery (ADR 16)."""
        values = {key: value for key, value in asdict(self).items() if value and key != "digest"}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:32]

    def file_name(self) -> str:
        """Return the name of the event's file. It sorts by time and says what the event is about."""
        digits = re.sub(r"\D", "", self.at)[:20]
        version = re.sub(r"[^A-Za-z0-9.+-]", "_", self.version)
        return "-".join(filter(None, [digits, self.kind, version, self.environment])) + ".yaml"


def author(folder: Path) -> str:
    """Return who runs this command, as git knows them."""

    def configured(key: str) -> str:
        command = ["git", "config", key]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout.strip()

    name, email = configured("user.name"), configured("user.email")
    return f"{name} <{email}>" if email else name or os.environ.get("USER", "unknown")


def current_time() -> datetime:
    """Return the current time; tests replace it."""
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """Return a time as the journal writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def write_yaml(path: Path, values: Mapping[str, Any]) -> None:
    """Write a small YAML file, whole or not at all."""
    yaml = YAML()
    yaml.width = YAML_WIDTH
    text = StringIO()
    yaml.dump(dict(values), text)
    write_atomically(path, text.getvalue().encode())


def write(folder: Path, event: Event) -> Path:
    """Write an event to a new file and return its path."""
    path = folder / FOLDER / event.service / event.file_name()
    if path.exists():
        name = path.relative_to(folder)
        raise JournalError(
            f"{name} already exists: another event was written in the same microsecond. Run the same command again"
        )
    complete = replace(event, digest=event.content_digest())
    write_yaml(path, {key: value for key, value in asdict(complete).items() if value})
    return path


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold the lock of everything that reads and then writes a clone's files. No command loses another's change."""
    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    with exclusive_lock(user_cache() / "locks" / f"{name}.lock", "is changing files of this clone"):
        yield


def stamp(folder: Path, service: str, now: datetime) -> datetime:
    """Return the time for a new event: now, but never before the newest event, whose clock may have been ahead."""
    newest = max((datetime.fromisoformat(event.at) for event in read(folder, service, now)), default=None)
    return now if newest is None or newest < now else newest + timedelta(microseconds=1)


def read(folder: Path, service: str | None = None, now: datetime | None = None) -> list[Event]:
    """Return the valid events of one service, or of all services, oldest first. `problems` explains the others."""
    valid = [event for path, event in read_files(folder, service) if not flaw(path, event, now)]
    return sorted(valid, key=lambda event: event.at)


def problems(folder: Path, service: str | None = None, now: datetime | None = None) -> list[str]:
    """Return which files of the journal are ignored, and why."""
    return [
        f"{path.relative_to(folder)} is ignored: {reason}. Restore it from git, or delete it"
        for path, event in read_files(folder, service)
        if (reason := flaw(path, event, now))
    ]


def flaw(path: Path, event: Event, now: datetime | None = None) -> str:
    """Return why an event cannot be what a command wrote into this file; empty if it can."""
    latest = (now or current_time()) + CLOCK_SKEW
    if event.service != path.parent.name:
        return f"it is about {event.service}, but its folder is {path.parent.name}"
    if event.at > timestamp(latest):
        return "its time is in the future"
    if not event.digest:
        return "" if event.at < DIGESTS_SINCE else "it was not written by ./infra"
    if event.digest != event.content_digest():
        return "its content was edited"
    return "" if path.name == event.file_name() else f"its name should be {event.file_name()}"


def read_files(folder: Path, service: str | None) -> list[tuple[Path, Event]]:
    """Return each file of the journal with the event in it."""
    events = []
    for path in sorted((folder / FOLDER).glob(f"{service or '*'}/*.yaml")):
        if path.parent.name in NOT_EVENTS or path.parent.parent.name in NOT_EVENTS:
            continue
        try:
            events.append((path, parse_event(YAML(typ="safe").load(path.read_text(encoding="utf-8")))))
        except (OSError, TypeError, ValueError, AttributeError, YAMLError) as error:
            name = path.relative_to(folder)
            raise JournalError(f"{name} is not a valid journal event ({error}). Restore it from git") from error
    return events


def parse_event(content: Mapping[str, Any]) -> Event:
    """Return the event that a file contains, whichever version of this project wrote it."""
    values = {OLD_FIELDS.get(key, key): value for key, value in content.items()}
    if values.get("kind") in OLD_KINDS:
        values["kind"] = OLD_KINDS[values["kind"]]
    if "gates" in values:
        lines = values.pop("gates")
        values["gate"] = [line for line in lines if not line.startswith(OLD_SIGN_OFF)]
        values["sign_offs"] = [line.removeprefix(OLD_SIGN_OFF) for line in lines if line.startswith(OLD_SIGN_OFF)]
    event = Event(**values)
    # Someone who edits a file by hand may drop the quotes around a time or a version.
    at = timestamp(event.at) if isinstance(event.at, datetime) else event.at
    return replace(event, at=at, version=str(event.version))


def active_holds(events: Iterable[Event], service: str) -> list[Event]:
    """Return the holds of a service that nobody has lifted.

    A hold with a fingerprint is on exactly one release; one without is on every release of a version and an image.
    """
    last: dict[tuple[str, ...], Event] = {}
    for event in events:
        if event.kind in {"hold", "unhold"} and event.service == service:
            key = (event.fingerprint,) if event.fingerprint else (event.version, event.image)
            last[key] = event
    return [event for event in last.values() if event.kind == "hold"]


def active_hold(events: Iterable[Event], service: str, release: Mapping[str, Any]) -> Event | None:
    """Return the hold on a release, or None."""
    build = (str(release.get("version")), str(release.get("image")))
    for hold in active_holds(events, service):
        is_this = (
            hold.fingerprint == fingerprint_of(release) if hold.fingerprint else (hold.version, hold.image) == build
        )
        if is_this:
            return hold
    return None


def applies_to(event: Event, backend: str) -> bool:
    """Tell whether an event counts in a backend. What was promoted on AWS may run in a sandbox, but not vice versa."""
    return backend in {SANDBOX, event.backend}


def last_move(events: Sequence[Event], service: str, environment: str, backend: str) -> Event | None:
    """Return the newest promotion, hotfix or rollback of a service in an environment."""
    for event in reversed(events):
        is_here = (event.service, event.environment) == (service, environment) and applies_to(event, backend)
        if is_here and event.kind in MOVES:
            return event
    return None


def pending_move(events: Sequence[Event], service: str, environment: str, backend: str) -> Event | None:
    """Return the newest move of a service in an environment if the journal does not say that it was deployed."""
    here = [event for event in events if event.backend == backend]
    move = last_move(here, service, environment, backend)
    deployed_at = [
        event.at
        for event in here
        if event.kind == "deployed" and (event.service, event.environment) == (service, environment)
    ]
    return None if move and any(at >= move.at for at in deployed_at) else move


def last_outcome(events: Sequence[Event], fingerprint: str, environment: str, backend: str) -> Event | None:
    """Return the newest `deployed` or `failed` event of a release in an environment."""
    for event in reversed(events):
        is_here = (event.environment, event.backend) == (environment, backend)
        if is_here and event.kind in {"deployed", "failed"} and event.fingerprint == fingerprint:
            return event
    return None


def ran_badly(events: Sequence[Event], fingerprint: str, environment: str, backend: str) -> bool:
    """Tell whether the servers of a release were unhealthy the last time that it was deployed to an environment."""
    outcome = last_outcome(events, fingerprint, environment, backend)
    return outcome is not None and outcome.kind == "failed" and outcome.phase == "servers"
