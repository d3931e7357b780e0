"""Holding a release, and lifting its hold."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from release import journal
from release.environment_file import readable_texts, release_in
from release.errors import Rule, refused
from release.journal import Event, writing


def hold(folder: Path, service: str, version: str, reason: str, now: datetime) -> list[Event]:
    """Hold every build of a version everywhere and return the events, one for each image that has this version."""
    require_reason(reason)
    with writing(folder):
        events = journal.read(folder, service)
        images = {event.image for event in events if event.version == version}
        for text in readable_texts(folder):
            release = release_in(text, service)
            if release and str(release.get("version")) == version:
                images.add(str(release.get("image")))
        if not images:
            message = f"{service} {version} is unknown: neither an environment file nor the journal has such a release"
            raise refused(Rule.UNKNOWN_RELEASE, message)
        return write_events(folder, "hold", service, version, [(image, "") for image in sorted(images)], reason, now)


def lift_hold(folder: Path, service: str, version: str, reason: str, now: datetime) -> list[Event]:
    """Lift every hold on a version and return the events."""
    require_reason(reason)
    with writing(folder):
        holds = [
            event for event in journal.active_holds(journal.read(folder, service), service) if event.version == version
        ]
        if not holds:
            raise refused(Rule.NO_HOLD, f"{service} {version} is not on hold")
        builds = [(event.image, event.fingerprint) for event in holds]
        return write_events(folder, "unhold", service, version, builds, reason, now)


def require_reason(reason: str) -> None:
    """Refuse an empty reason."""
    if not reason.strip():
        message = "a --reason is required, because whoever comes across the hold will ask for it"
        raise refused(Rule.REASON_REQUIRED, message)


def write_events(  # noqa: PLR0917 the fields of the events
    folder: Path,
    kind: journal.EventKind,
    service: str,
    version: str,
    builds: Sequence[tuple[str, str]],
    reason: str,
    now: datetime,
) -> list[Event]:
    """Write one event per build, an image and possibly a fingerprint.

    Each gets a microsecond of its own, because its time is part of its file's name.
    """
    author, start = journal.author(folder), journal.stamp(folder, service, now)
    events = []
    for index, (image, fingerprint) in enumerate(builds):
        event = Event(
            kind=kind,
            service=service,
            version=version,
            image=image,
            at=journal.timestamp(start + timedelta(microseconds=index)),
            by=author,
            reason=reason,
            fingerprint=fingerprint,
        )
        journal.write(folder, event)
        events.append(event)
    return events
