"""The queue: processes that want to update the same environment take turns, in the order in which they came."""

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from cli import queue
from cli.queue import LockedError, Ticket, turn


def wait_for_tickets(folder: Path, count: int) -> None:
    """Return when so many processes are in the queue; fail the test after ten seconds."""
    deadline = time.monotonic() + 10
    while len(queue.tickets(folder)) != count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def join_as_dead_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the ticket of a process that no longer runs in the queue."""
    process = subprocess.Popen(["sleep", "60"])
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: process.pid)
        queue.join(folder)
    process.kill()
    process.wait()


def test_a_free_environment_is_entered_at_once(tmp_path: Path) -> None:
    """The ticket exists for as long as the turn lasts."""
    with turn(tmp_path, "beta", lambda: "", 0):
        assert [ticket.pid for ticket in queue.tickets(tmp_path)] == [os.getpid()]
    assert queue.tickets(tmp_path) == []


def test_whoever_does_not_wait_is_told_who_updates(tmp_path: Path) -> None:
    """The error names the other process, and no ticket is left in the queue."""
    with (
        pytest.raises(LockedError, match="process 7, since noon"),
        turn(tmp_path, "beta", lambda: "process 7, since noon", 0),
    ):
        pytest.fail("it is not our turn")
    assert list(tmp_path.glob("*.json")) == []


def test_processes_take_turns_in_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each one sees the queue while it waits. Tickets of processes that no longer run are skipped."""
    monkeypatch.setattr(queue, "POLL_SECONDS", 0.05)
    join_as_dead_process(tmp_path, monkeypatch)
    order: list[str] = []
    holder = ["process 7"]

    def work(name: str) -> None:
        with turn(tmp_path, "beta", lambda: holder[0], 1):
            order.append(name)
            time.sleep(0.1)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("first", "second")]
    for count, thread in enumerate(threads, 1):
        thread.start()
        wait_for_tickets(tmp_path, count)
    time.sleep(0.3)
    assert order == []
    holder[0] = ""
    for thread in threads:
        thread.join(timeout=20)
    assert order == ["first", "second"]
    assert list(tmp_path.glob("*.json")) == []
    messages = capsys.readouterr().err
    assert "process 7" in messages
    assert "1. " in messages
    assert ", 2. " in messages


def test_the_description_of_the_queue(snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lists every process in order, and marks this one."""
    monkeypatch.setattr(os, "getpid", lambda: 42)
    tickets = [
        Ticket(Path("1.json"), 7, "kim", "10:00:00 UTC"),
        Ticket(Path("2.json"), 42, "lee", "10:00:05 UTC"),
    ]
    assert queue.describe(tickets) == snapshot


def test_messages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion
) -> None:
    """They say who updates the environment, and who waits."""
    monkeypatch.setattr(queue, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(queue, "describe", lambda _queue: "1. kim (process 7), 2. lee (process 42, this one)")
    errors = []
    for wait_seconds in (0, 1):
        with (
            pytest.raises(LockedError) as error,
            turn(tmp_path, "beta", lambda: "ada, process 3, since 10:00:00 UTC", wait_seconds / 60),
        ):
            pytest.fail("it is not our turn")
        errors.append(str(error.value))
    assert {"errors": errors, "while waiting": capsys.readouterr().err} == snapshot
