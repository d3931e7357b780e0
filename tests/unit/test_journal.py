"""The journal: one file per event, and files of earlier versions of this project are still read."""

from dataclasses import replace
from pathlib import Path

import pytest

from release import journal
from release.errors import JournalError
from release.journal import Event
from release.stack_state import fingerprint
from tests.unit.release_builders import NEW, OLD, make_event

OLD_FILES = {
    "20261120100000000000-promote-1.1.0-beta.yaml": """
        kind: promote
        service: members
        version: 1.1.0
        image: b
        at: '2026-11-20T10:00:00.000000Z'
        by: kim
        environment: beta
        source: alpha
        place: aws
        release: 0123456789abcdef
        checks: [no hold]
        block: |2
                release:
                  version: 1.0.0
        """,
    "20261120110000000000-fail-1.1.0-beta.yaml": """
        kind: fail
        service: members
        version: 1.1.0
        image: b
        at: '2026-11-20T11:00:00.000000Z'
        by: kim
        environment: beta
        place: aws
        reason: 0 of at least 2 servers
        release: 0123456789abcdef
        gates: ['open, 1 changes in members']
        """,
    "20261120120000000000-arrive-1.1.0-beta.yaml": """
        kind: arrive
        service: members
        version: 1.1.0
        image: b
        at: '2026-11-20T12:00:00.000000Z'
        by: kim
        environment: beta
        place: aws
        release: 0123456789abcdef
        gates: ['open, 1 changes in members', 'overridden: data of members-db, by kim: copy']
        """,
    "20261120130000000000-hold-1.1.0.yaml": """
        kind: hold
        service: members
        version: 1.1.0
        image: b
        at: '2026-11-20T13:00:00.000000Z'
        by: kim
        reason: slow
        """,
    "20261120130000000000-rollback-1.0.0-beta.yaml": """
        kind: rollback
        service: members
        version: 1.0.0
        image: a
        at: '2026-11-20T13:00:00.000000Z'
        by: kim
        environment: beta
        place: aws
        reason: slow
        release: '0000000000000000'
        restored: '1111111111111111'
        """,
    "20261120140000000000-release-hold-1.1.0.yaml": """
        kind: release-hold
        service: members
        version: 1.1.0
        image: b
        at: '2026-11-20T14:00:00.000000Z'
        by: kim
        reason: was the cache
        """,
}


def write_file(folder: Path, text: str, name: str = "x.yaml") -> None:
    """Write a file of the journal of members."""
    path = folder / journal.FOLDER / "members" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_an_event_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Every field survives, and the file's name says what the event is about."""
    event = make_event(
        "deployed",
        NEW,
        "2026-11-20T10:00:00.000000Z",
        source="alpha",
        restored_fingerprint="f",
        checks=["no hold"],
        gate=["passed: 1 resource changed"],
        approvals=["releases/approvals/members/1.yaml"],
        sign_offs=["data of members-db, signed off by kim: a copy: of beta"],
        previous_block="      release:\n        version: 1.0.0 # old\n",
    )
    path = journal.write(tmp_path, event)
    assert path.relative_to(tmp_path).as_posix() == "releases/members/20261120100000000000-deployed-1.1.0-beta.yaml"
    assert journal.read(tmp_path) == [event]


def test_two_events_never_share_a_file(tmp_path: Path) -> None:
    """A second event with the same name is refused instead of replacing the first."""
    event = make_event("hold", NEW)
    journal.write(tmp_path, event)
    with pytest.raises(JournalError):
        journal.write(tmp_path, replace(event, reason="another"))
    assert journal.read(tmp_path) == [event]


def test_old_files_are_still_read(tmp_path: Path) -> None:
    """Kinds and fields had other names before November 2026, and sign-offs were part of `gates`."""
    for name, text in OLD_FILES.items():
        write_file(tmp_path, text, name)
    events = journal.read(tmp_path)
    kinds = ["promote", "failed", "deployed", "hold", "rollback", "unhold"]
    assert [event.kind for event in events] == kinds
    promoted, failed, deployed, _, rolled_back, _ = events
    assert (promoted.backend, promoted.fingerprint) == ("aws", "0123456789abcdef")
    assert promoted.previous_block == "      release:\n        version: 1.0.0\n"
    assert (failed.gate, failed.sign_offs) == (["open, 1 changes in members"], [])
    assert deployed.gate == ["open, 1 changes in members"]
    assert deployed.sign_offs == ["data of members-db, by kim: copy"]
    assert (rolled_back.fingerprint, rolled_back.restored_fingerprint) == ("0000000000000000", "1111111111111111")
    assert journal.active_hold(events, "members", NEW) is None
    assert journal.active_hold(events[:-1], "members", NEW) == events[3]
    assert journal.pending_move(events[:2], "members", "beta", "aws") == promoted
    assert journal.pending_move(events[:3], "members", "beta", "aws") is None


def test_values_without_quotes_are_read_as_text(tmp_path: Path) -> None:
    """Someone who edits a file may drop the quotes around a time or a version."""
    write_file(
        tmp_path, "{kind: hold, service: members, version: 1.10, image: b, at: 2026-11-20T10:00:00.000001Z, by: kim}"
    )
    (event,) = journal.read(tmp_path)
    assert (event.version, event.at) == ("1.1", "2026-11-20T10:00:00.000001Z")


@pytest.mark.parametrize(
    "text",
    [
        "kind: [",
        "just words",
        "- a list",
        "",
        "{service: members, version: '1', image: b, at: '2026', by: kim}",
        "{kind: hold, service: members, version: '1', image: b, at: '2026', by: kim, color: red}",
        "{kind: [hold], service: members, version: '1', image: b, at: '2026', by: kim}",
        "{kind: arrive, service: members, version: '1', image: b, at: '2026', by: kim, gates: 1}",
    ],
    ids=["no YAML", "no map", "a list", "empty", "no kind", "an unknown key", "a kind that is a list", "no gates"],
)
def test_an_invalid_file_is_reported(tmp_path: Path, text: str) -> None:
    """The error names the file; nothing is decided on half of a journal."""
    write_file(tmp_path, text)
    with pytest.raises(JournalError) as error:
        journal.read(tmp_path)
    assert "releases/members/x.yaml" in str(error.value)


def test_the_newest_hold_or_unhold_of_a_release_decides() -> None:
    """A hold with a fingerprint is on exactly one release."""
    hold, unhold = make_event("hold", NEW), make_event("unhold", NEW)
    assert journal.active_hold([hold], "members", NEW) == hold
    assert journal.active_hold([hold, unhold], "members", NEW) is None
    assert journal.active_hold([hold, unhold, hold], "members", NEW) == hold
    assert journal.active_hold([hold], "members", {**NEW, "environment_variables": {"A": "1"}}) is None
    assert journal.active_hold([hold], "payments", NEW) is None


def test_a_hold_on_a_build_is_on_every_release_of_it() -> None:
    """Whatever the settings are; another build of the same version is not on hold."""
    hold = make_event("hold", NEW, fingerprint="")
    assert journal.active_hold([hold], "members", NEW) == hold
    assert journal.active_hold([hold], "members", {**NEW, "environment_variables": {"A": "1"}}) == hold
    assert journal.active_hold([hold], "members", {**NEW, "image": "another build"}) is None
    assert journal.active_hold([hold, make_event("unhold", NEW)], "members", NEW) == hold
    assert journal.active_hold([hold, make_event("unhold", NEW, fingerprint="")], "members", NEW) is None


def test_a_move_is_pending_until_a_later_event_says_that_it_was_deployed() -> None:
    """An older deployment, a failure, or a deployment on another backend does not count."""
    earlier = make_event("deployed", OLD, "2026-11-19")
    move = make_event("promote", NEW, "2026-11-20")
    failed = make_event("failed", NEW, "2026-11-21")
    deployed = make_event("deployed", NEW, "2026-11-21")

    def pending(*events: Event) -> Event | None:
        return journal.pending_move(events, "members", "beta", "sandbox")

    assert pending() is None
    assert pending(earlier, move, failed) == move
    assert pending(earlier, move, replace(deployed, backend="aws")) == move
    assert pending(earlier, move, deployed) is None
    assert move.fingerprint == fingerprint(NEW)
