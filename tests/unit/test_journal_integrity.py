"""The journal: events that were edited, misplaced or dated in the future do not count, and no change is lost."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from release import journal
from release.journal import FOLDER
from release.promote import Request
from tests.unit.release_builders import (
    ENABLED_SERVICES,
    NEW,
    NOW,
    make_event,
    promote_members,
    promote_release,
    requested_release,
    state_of_file,
)


def test_a_written_event_counts(tmp_path: Path) -> None:
    """What a command writes is valid, and reading it back gives the same event with its digest."""
    event = make_event("promote", NEW, "2026-11-26T10:00:00.000000Z")
    journal.write(tmp_path, event)
    later = NOW + timedelta(days=30)
    (read,) = journal.read(tmp_path, now=later)
    assert (read.kind, read.fingerprint, read.digest) == ("promote", event.fingerprint, event.content_digest())
    assert journal.problems(tmp_path, now=later) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [("version: 1.1.0", "version: 1.2.0"), ("by: kim", "by: lee"), ("kind: promote", "kind: rollback")],
)
def test_an_edited_event_is_ignored_and_reported(tmp_path: Path, old: str, new: str) -> None:
    """Its digest does not fit its content any more."""
    path = journal.write(tmp_path, make_event("promote", NEW, "2026-11-20T10:00:00.000000Z"))
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert journal.read(tmp_path) == []
    (problem,) = journal.problems(tmp_path)
    assert path.name in problem


def test_an_event_written_by_hand_is_ignored(tmp_path: Path) -> None:
    """Since digests were introduced, an event without one was not written by ./infra."""
    path = journal.write(tmp_path, make_event("promote", NEW, "2026-11-25T10:00:00.000000Z"))
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("digest:")]
    path.write_text("\n".join(lines), encoding="utf-8")
    assert journal.read(tmp_path, now=NOW + timedelta(days=30)) == []
    assert len(journal.problems(tmp_path, now=NOW + timedelta(days=30))) == 1


def test_an_event_in_another_services_folder_is_ignored(tmp_path: Path) -> None:
    """CODEOWNERS protect folders, so a folder decides whose event it is."""
    path = journal.write(tmp_path, make_event("promote", NEW, "2026-11-20T10:00:00.000000Z"))
    target = tmp_path / FOLDER / "payments" / path.name
    target.parent.mkdir(parents=True)
    path.rename(target)
    assert journal.read(tmp_path) == []
    assert len(journal.problems(tmp_path)) == 1


def test_an_event_from_the_future_is_ignored(tmp_path: Path) -> None:
    """Otherwise it would outrank every hold until its time has come."""
    journal.write(tmp_path, make_event("promote", NEW, "2026-11-23T18:06:00.000000Z"))
    assert journal.read(tmp_path, now=NOW) == []
    assert len(journal.read(tmp_path, now=NOW + timedelta(minutes=2))) == 1


def test_a_new_event_is_never_before_the_newest(tmp_path: Path) -> None:
    """A clock that is a little behind does not put a hold before the promotion that it is about."""
    journal.write(tmp_path, make_event("promote", NEW, journal.timestamp(NOW + timedelta(minutes=1))))
    assert journal.stamp(tmp_path, "members", NOW) > NOW + timedelta(minutes=1)
    assert journal.stamp(tmp_path, "payments", NOW) == NOW


def test_promotions_at_the_same_time_lose_nothing(release_folder: Path) -> None:
    """Five services are promoted by five threads; the file has all five releases afterwards."""
    state = state_of_file(release_folder, "alpha")

    def promote_one(service: str) -> None:
        promote_release(release_folder, Request(service, "alpha", "beta"), state)

    with ThreadPoolExecutor(max_workers=5) as pool:
        list(pool.map(promote_one, ENABLED_SERVICES))
    for service in ENABLED_SERVICES:
        expected = requested_release(release_folder, "alpha", service)
        assert requested_release(release_folder, "beta", service) == expected


def test_an_edited_block_is_not_restored(release_folder: Path) -> None:
    """A rollback would otherwise write what nobody reviewed into the environment's file."""
    move = promote_members(release_folder)
    (path,) = (release_folder / FOLDER / "members").glob("*.yaml")
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("ami-", "ami-f"), encoding="utf-8")
    assert journal.read(release_folder, "members") == []
    assert move.event.previous_block
