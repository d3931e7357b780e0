"""Restores the previous release of a service in an environment, and holds the release that it replaces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from release import journal, release_block
from release.database_engine import version_numbers, with_engine
from release.environment_file import parse_release_block, read_text, release_in, with_release
from release.errors import Rule, refused
from release.gate import backend_option
from release.journal import MOVES, Event, writing
from release.promote import Move, Request, write_move
from release.stack_state import fingerprint
from settings.project_files import environment_file

Release = Mapping[str, Any]


@dataclass(frozen=True)
class Restored:
    """The release that a rollback restores.

    Attributes:
        block: Its text.
        original_fingerprint: Its fingerprint before a newer database engine was kept.
        notes: What differs from a plain return to the previous release.
    """

    block: str
    original_fingerprint: str
    notes: list[str]


def roll_back(folder: Path, request: Request, now: datetime) -> tuple[Move, Event | None]:
    """Restore the previous release and hold the current one everywhere. Return the move and the hold.

    If the file was already rolled back on another backend, only this backend's event is written: going back one release
    further would remove a good one.
    """
    if not request.reason.strip():
        message = "a rollback needs a --reason, which is recorded in the journal and on the hold of the bad release"
        raise refused(Rule.REASON_REQUIRED, message)
    with writing(folder):
        return roll_back_locked(folder, request, now)


def roll_back_locked(folder: Path, request: Request, now: datetime) -> tuple[Move, Event | None]:
    """Do what `roll_back` does while nobody else writes files."""
    service, environment = request.service, request.target
    text = read_text(folder, environment)
    current = release_in(text, service, environment_file(environment))
    events = journal.read(folder, service)
    if repeated := repeated_rollback(folder, request, text, events, now):
        return repeated, None

    counting = [event for event in events if journal.applies_to(event, request.backend)]
    restored = with_current_engine(previous_block(counting, request, current), current)
    new_text = with_release(text, service, restored.block, environment)
    replaced_block = release_block.release_text(text, service, environment_file(environment))
    hold = Event(
        kind="hold",
        service=service,
        version=str(current.get("version")),
        image=str(current.get("image")),
        at=journal.timestamp(journal.stamp(folder, service, now)),
        by=journal.author(folder),
        reason=request.reason,
        fingerprint=fingerprint(current),
    )
    event = rollback_event(hold, request, restored, replaced_block)
    write_move(folder, [hold, event], environment, text, new_text)
    return Move(text, new_text, event, tuple(restored.notes)), hold


def repeated_rollback(folder: Path, request: Request, text: str, events: Sequence[Event], now: datetime) -> Move | None:
    """Return the move of a rollback that was already written for another backend, or None if there is none.

    Refused if the rollback is this backend's own and not deployed yet. If its servers failed, another one may follow.
    """
    service, environment = request.service, request.target
    moves = [event for event in events if event.environment == environment and event.kind in MOVES]
    last = moves[-1] if moves else None
    if last is None or last.kind != "rollback" or last.fingerprint != fingerprint(release_in(text, service)):
        return None
    if last.backend != request.backend:
        author = journal.author(folder)
        event = replace(
            last,
            backend=request.backend,
            at=journal.timestamp(journal.stamp(folder, service, now)),
            by=author,
            reason=request.reason,
        )
        journal.write(folder, event)
        return Move(text, text, event)
    has_failed = journal.ran_badly(events, last.fingerprint, environment, request.backend)
    if journal.pending_move(events, service, environment, request.backend) and not has_failed:
        since = last.at[:16].replace("T", " ")
        message = (
            f"{environment_file(environment)} was rolled back to {service} {last.version} at {since}, "
            f"and that is not deployed yet. To deploy it:\n  ./infra up {environment}{backend_option(request.backend)}"
        )
        raise refused(Rule.ALREADY_ROLLED_BACK, message)
    return None


def with_current_engine(restored: Restored, current: Release) -> Restored:
    """Return what is restored with the current database engine if that is newer: RDS cannot downgrade."""
    release, engine = parse_release_block(restored.block), current.get("database_engine")
    older = release.get("database_engine")
    if not older or version_numbers(older) >= version_numbers(engine):
        return restored
    note = f"database_engine stays {engine}: RDS cannot downgrade it to {older}"
    return replace(restored, block=with_engine(restored.block, str(engine)), notes=[*restored.notes, note])


def previous_block(events: Sequence[Event], request: Request, current: Release) -> Restored:
    """Return the newest release before the current one that is not on hold and ran well; refused if there is none."""
    service, environment = request.service, request.target
    here = [event for event in events if event.environment == environment]
    release, target = current, searched_fingerprint(here, current)
    skipped: list[str] = []
    visited = {fingerprint(current)}
    by_hand = (
        f"Promote the release that you want to {environment} instead:\n"
        f"  ./infra promote {service} --from ... --to {environment} --hotfix --reason ..."
    )
    while True:
        moves = [
            event
            for event in here
            if event.kind in {"promote", "hotfix"} and event.previous_block and event.fingerprint == target
        ]
        if not moves:
            why = f" ({skipped[-1]})" if skipped else ""
            message = (
                f"the journal has no promotion of {service} {release.get('version', '?')} to {environment}, "
                f"so the release before it is unknown{why}. {by_hand}"
            )
            raise refused(Rule.NO_EARLIER_RELEASE, message)
        block = moves[-1].previous_block
        release = parse_release_block(block)
        target = fingerprint(release)
        if target in visited:
            message = (
                f"no release of {service} before {current.get('version')} in {environment} can be restored "
                f"({'; '.join(skipped)}). {by_hand}"
            )
            raise refused(Rule.NO_EARLIER_RELEASE, message)
        visited.add(target)
        hold = journal.active_hold(events, service, release)
        if hold:
            skipped.append(f"{release.get('version')} was skipped because it is on hold: {hold.reason}")
        elif journal.ran_badly(events, target, environment, request.backend):
            skipped.append(f"{release.get('version')} was skipped because its servers failed in {environment}")
        else:
            return Restored(block, target, skipped)


def searched_fingerprint(events: Sequence[Event], current: Release) -> str:
    """Return the fingerprint under which the journal knows the current release.

    A rollback that kept a newer database engine created a release that was never promoted; the one that it restored
    was.
    """
    for event in reversed(events):
        if event.kind == "rollback" and event.fingerprint == fingerprint(current):
            return event.restored_fingerprint or event.fingerprint
    return fingerprint(current)


def rollback_event(hold: Event, request: Request, restored: Restored, replaced_block: str) -> Event:
    """Return the journal's event for a rollback. hold: the event that holds the release that is replaced."""
    release = parse_release_block(restored.block)
    return Event(
        kind="rollback",
        service=request.service,
        version=str(release.get("version")),
        image=str(release.get("image")),
        at=hold.at,
        by=hold.by,
        environment=request.target,
        backend=request.backend,
        reason=request.reason,
        fingerprint=fingerprint(release),
        restored_fingerprint=restored.original_fingerprint,
        checks=restored.notes,
        previous_block=replaced_block,
    )
