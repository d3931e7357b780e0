"""The queue of processes that want to update the same environment: one small file for each."""

import contextlib
import getpass
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from common.console import format_duration, say
from common.errors import InfraError
from common.files import exclusive_lock, read_json, write_private
from sandbox.emulator.process import start_time

POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Ticket:
    """A process in the queue: its file, process id, user, and since when it waits."""

    file: Path
    pid: int
    user: str
    since: str


class LockedError(InfraError):
    """Another process is updating the environment, and there was no time, or not enough time, to wait for it."""


def tickets(folder: Path) -> list[Ticket]:
    """Return the queue in order. Tickets of processes that no longer run are deleted."""
    queue = []
    for file in sorted(folder.glob("*.json")):
        content = read_json(file)
        pid = int(str(content.get("pid", 0)))
        if start_time(pid) != content.get("started"):
            file.unlink(missing_ok=True)
            continue
        queue.append(Ticket(file, pid, str(content.get("who")), str(content.get("since"))))
    return queue


def join(folder: Path) -> Ticket:
    """Add this process to the end of the queue."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pid, user, since = os.getpid(), getpass.getuser(), f"{datetime.now(UTC):%H:%M:%S} UTC"
    content = json.dumps({"pid": pid, "started": start_time(pid), "who": user, "since": since})
    # Under a lock, so that an earlier ticket never appears after a later one was seen.
    with exclusive_lock(folder / "lock", "is joining the queue"):
        file = folder / f"{time.time_ns():020d}-{pid}.json"
        write_private(file, content)
    return Ticket(file, pid, user, since)


def describe(queue: Sequence[Ticket]) -> str:
    """Return who is waiting, in order."""

    def entry(position: int, ticket: Ticket) -> str:
        own = ", this one" if ticket.pid == os.getpid() else ""
        return f"{position}. {ticket.user} (process {ticket.pid}{own})"

    return ", ".join(entry(position, ticket) for position, ticket in enumerate(queue, 1))


@contextlib.contextmanager
def turn(folder: Path, environment: str, locked_by: Callable[[], str], wait_minutes: float) -> Iterator[None]:
    """Wait until this process is first in an environment's queue and nobody holds the lock.

    wait_minutes: 0 to not wait at all. LockedError if the turn does not come in time. Pulumi's own lock protects the
    stack; the queue only keeps those who wait in order.
    """
    ticket = join(folder)
    try:
        wait_for_turn(folder, environment, locked_by, wait_minutes, ticket)
        yield
    finally:
        ticket.file.unlink(missing_ok=True)


def wait_for_turn(
    folder: Path, environment: str, locked_by: Callable[[], str], wait_minutes: float, ticket: Ticket
) -> None:
    """Return when it is the ticket's turn."""
    deadline, last_message = time.monotonic() + wait_minutes * 60, ""
    while True:
        queue = tickets(folder)
        ahead = [other for other in queue if other.file < ticket.file]
        holder = locked_by()
        if not ahead and not holder:
            return
        working = holder or f"{ahead[0].user}, process {ahead[0].pid}, since {ahead[0].since}"
        if time.monotonic() >= deadline:
            if not wait_minutes:
                raise LockedError(f"another process is updating {environment}: {working}.")
            waited = format_duration(wait_minutes * 60)
            raise LockedError(f"after {waited}, another process is still updating {environment}: {working}.")
        message = f"another process is updating {environment}: {working}. Waiting: "
        message += describe(queue if holder else queue[1:])
        if message != last_message:
            say(message)
            last_message = message
        time.sleep(POLL_SECONDS)
