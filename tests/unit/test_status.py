"""Status and history: what the table's cells say, how releases differ, and what became of moves."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest
from syrupy.assertion import SnapshotAssertion

from release import status
from release.holds import hold
from release.journal import Event, EventKind
from release.stack_state import Update
from release.status import EnvironmentView, Table
from tests.unit.release_builders import (
    LONG_AGO,
    NEW,
    NOW,
    OLD,
    PATH,
    make_event,
    promote_members,
    requested_release,
    requested_releases,
    state_of_file,
)


@pytest.fixture
def table(release_folder: Path) -> Table:
    """Return a table in which alpha and beta have something to say about each service."""
    events = hold(release_folder, "payments", "2.0.1", "double charge", NOW)
    alpha = state_of_file(release_folder, "alpha", since=NOW - timedelta(minutes=20))
    drift = ["members-servers-group", "members-servers-template", "members-database-instance", "members-dns"]
    beta_requests = requested_releases(release_folder, "beta")
    del beta_requests["socket"]
    views = {
        "alpha": EnvironmentView(alpha, requested_releases(release_folder, "alpha"), {"members": drift}),
        "beta": EnvironmentView(
            state_of_file(release_folder, "beta"),
            {**beta_requests, "email": {"version": "9.9.9"}, "new": {"version": "0.1.0"}},
            {"members": ["members-servers-group"]},
            {"core": ["too few servers"]},
        ),
    }
    return Table(views, events, PATH, NOW)


def cells(table: Table) -> dict[str, Sequence[str]]:
    """Return every cell of a table."""
    services = ["core", "members", "payments", "email", "socket", "new", "unknown"]
    return {f"{service} in {name}": status.cell(service, name, table) for service in services for name in table.views}


def test_cells(table: Table, snapshot: SnapshotAssertion) -> None:
    """A cell has the version, since when it runs, and everything that needs attention."""
    assert cells(table) == snapshot


def test_a_cell_after_the_soak_time(table: Table, snapshot: SnapshotAssertion) -> None:
    """Only the line about the soak time changes: the release can be promoted."""
    later = Table(table.views, table.events, table.path, NOW + timedelta(hours=1))
    before, after = status.cell("members", "alpha", table), status.cell("members", "alpha", later)
    assert len(before) == len(after)
    assert [(old, new) for old, new in zip(before, after, strict=True) if old != new] == snapshot


def test_the_release_of_one_environment_is_compared_with_another(table: Table) -> None:
    """Each field that differs is listed with both values."""
    differences = status.differences("members", "alpha", "beta", table.views)
    assert ("version", "1.5.0", "1.4.2") in differences
    assert status.differences("members", "alpha", "alpha", table.views) == []


def history_events() -> list[Event]:
    """Return an event of each kind."""
    empty = {"environment": "", "source": "", "backend": "", "reason": "slow"}
    return [
        make_event("promote", NEW, "2026-11-20T10:00:00.000000Z", source="alpha", reason=""),
        make_event("hotfix", NEW, "2026-11-20T11:00:00.000000Z", source="alpha", environment="prod", backend="aws"),
        make_event("failed", NEW, "2026-11-20T12:00:00.000000Z", reason="the last update of beta failed"),
        make_event("deployed", NEW, "2026-11-20T13:00:00.000000Z", reason="", sign_offs=["data of db, signed off"]),
        make_event("hold", NEW, "2026-11-20T14:00:00.000000Z", **empty),
        make_event("rollback", OLD, "2026-11-20T14:00:00.000000Z", reason="slow"),
        make_event("unhold", NEW, "2026-11-20T15:00:00.000000Z", **empty | {"reason": "it was the cache"}),
    ]


def test_history_lines(snapshot: SnapshotAssertion) -> None:
    """Each event is one line: when, what, which version, where, by whom and why."""
    events = history_events()
    assert {event.kind for event in events} == set(get_args(EventKind))
    assert [status.history_line(event) for event in events] == snapshot


def test_pending_moves(release_folder: Path, snapshot: SnapshotAssertion) -> None:
    """A move that the journal does not record as deployed is explained by the stack and the file."""
    move = promote_members(release_folder).event
    requested = requested_release(release_folder, "beta", "members")
    deployed = state_of_file(release_folder, "beta")
    running = state_of_file(release_folder, "alpha").config()
    earlier = state_of_file(release_folder, "beta", updates=(Update("update", "succeeded", LONG_AGO, {}),))
    failed = state_of_file(release_folder, "beta", updates=(Update("update", "failed", NOW, running),))
    assert {
        "deployed": status.describe_pending_move(move, deployed, requested),
        "not deployed": status.describe_pending_move(move, earlier, requested),
        "failed": status.describe_pending_move(move, failed, requested),
        "no stack": status.describe_pending_move(move, None, requested),
        "another release in the file": status.describe_pending_move(move, deployed, {"version": "1.4.2"}),
    } == snapshot
