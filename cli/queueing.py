"""Who waits for an environment that another `up` is changing: a visible queue, one small file for each who waits."""

import contextlib
import getpass
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sandbox.console import tell
from sandbox.emulator.process import start_time
from sandbox.paths import only_one, read_json, write_private

LOOK_SECONDS = 2.0


@dataclass(frozen=True)
class Ticket:
    """One who waits or works: its file, process, name, and since when."""

    file: Path
    pid: int
    who: str
    since: str


class LockedError(Exception):
    """Another is changing the environment, and nobody asked to wait, or for so long."""


def tickets(folder: Path) -> list[Ticket]:
    """Return who is in the queue, the first first; the dead are taken out."""
    out = []
    for file in sorted(folder.glob("*.json")):
        held = read_json(file)
        pid, started = int(str(held.get("pid", 0))), held.get("started")
        if start_time(pid) != started:
            file.unlink(missing_ok=True)
            continue
        out.append(Ticket(file, pid, str(held.get("who")), str(held.get("since"))))
    return out


def draw(folder: Path) -> Ticket:
    """Join the queue at its end."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pid, who, since = os.getpid(), getpass.getuser(), f"{datetime.now(UTC):%H:%M:%S} UTC"
    content = json.dumps({"pid": pid, "started": start_time(pid), "who": who, "since": since})
    with only_one(folder / "lock", "it joins the queue"):  # a ticket of an earlier time never comes to stand after a later one was seen
        file = folder / f"{time.time_ns():020d}-{pid}.json"
        write_private(file, content)
    return Ticket(file, pid, who, since)


@contextlib.contextmanager
def turn(folder: Path, environment: str, locked_by: Callable[[], str], wait_minutes: float) -> Iterator[None]:
    """Hold the first place in an environment's queue; LockedError where it cannot be had in time.

    wait_minutes: 0 for not at all. Pulumi's own lock stays what protects the stack: this only keeps those who wait in order.
    """
    mine = draw(folder)
    again = ". Run the same command again when it has ended, or with --wait MINUTES to wait in the queue"
    try:
        deadline, shown = time.monotonic() + wait_minutes * 60, ""
        while True:
            queue = tickets(folder)
            ahead = [ticket for ticket in queue if ticket.file < mine.file]
            holder = locked_by()
            if not ahead and not holder:
                break
            told = holder or f"{ahead[0].who}, process {ahead[0].pid}, since {ahead[0].since}"
            if time.monotonic() >= deadline:
                waited = f" after {wait_minutes:g} min" if wait_minutes else ""
                raise LockedError(f"another process is changing {environment}{waited}: {told}{again}")
            now = f"{environment} is being changed by {told}. Waiting: " + ", ".join(
                f"{place}. {ticket.who} (process {ticket.pid}{', this one' if ticket.pid == mine.pid else ''})" for place, ticket in enumerate(queue if holder else queue[1:], 1)
            )
            if now != shown:
                tell(now)
                shown = now
            time.sleep(LOOK_SECONDS)
        yield
    finally:
        mine.file.unlink(missing_ok=True)
