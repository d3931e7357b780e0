"""Holding a release, and lifting its hold."""

from datetime import datetime, timedelta
from pathlib import Path

from release import journal
from release.environment_file import readable_texts, release_in
from release.errors import Rule, refused
from release.journal import Event


def hold(folder: Path, service: str, version: str, reason: str, now: datetime) -> list[Event]:
    """Hold a release everywhere and return the events, one for each image that has this version."""
    require_reason(reason)
    events = journal.read(folder, service)
    images = {event.image for event in events if event.version == version}
    for text in readable_texts(folder):
        release = release_in(text, service)
        if release and str(release.get("version")) == version:
            images.add(str(release.get("image")))
    if not images:
        message = f"{service} {version} is unknown: neither an environment file nor the journal has such a release"
        raise refused(Rule.UNKNOWN_RELEASE, message)
    return write_events(folder, "hold", service=service, version=version, images=images, reason=reason, now=now)


def lift_hold(folder: Path, service: str, version: str, reason: str, now: datetime) -> list[Event]:
    """Lift the hold on a release and return the events, one for each image that was on hold."""
    require_reason(reason)
    events = journal.read(folder, service)
    images = {event.image for event in events if event.version == version}
    held_images = {image for image in images if journal.active_hold(events, service, version, image)}
    if not held_images:
        raise refused(Rule.NO_HOLD, f"{service} {version} is not on hold")
    return write_events(folder, "unhold", service=service, version=version, images=held_images, reason=reason, now=now)


def require_reason(reason: str) -> None:
    """Refuse an empty reason."""
    if not reason.strip():
        message = "a --reason is required, because whoever comes across the hold will ask for it"
        raise refused(Rule.REASON_REQUIRED, message)


def write_events(
    folder: Path,
    kind: journal.EventKind,
    *,
    service: str,
    version: str,
    images: set[str],
    reason: str,
    now: datetime,
) -> list[Event]:
    """Write one event per image. Each gets a microsecond of its own, because its time is part of its file's name."""
    author = journal.author(folder)
    events = []
    for index, image in enumerate(sorted(images)):
        at = journal.timestamp(now + timedelta(microseconds=index))
        event = Event(kind=kind, service=service, version=version, image=image, at=at, by=author, reason=reason)
        journal.write(folder, event)
        events.append(event)
    return events
