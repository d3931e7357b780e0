"""Holds: a release on hold is blocked everywhere, in every build of its version, until the hold is lifted."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from release import journal
from release.environment_file import release_in
from release.errors import RefusedError, Rule
from release.holds import hold, lift_hold
from release.journal import Event
from release.stack_state import fingerprint
from tests.unit.release_builders import NOW, edit_file

HoldCommand = Callable[[Path, str, str, str, datetime], list[Event]]


@pytest.mark.parametrize("command", [hold, lift_hold])
def test_a_reason_is_required(release_folder: Path, command: HoldCommand) -> None:
    """Whoever comes across the hold will ask for it."""
    with pytest.raises(RefusedError) as error:
        command(release_folder, "members", "1.5.0", " ", NOW)
    assert error.value.rules == {Rule.REASON_REQUIRED}
    assert journal.read(release_folder) == []


def test_an_unknown_release_cannot_be_held(release_folder: Path) -> None:
    """A mistyped version would hold nothing."""
    with pytest.raises(RefusedError) as error:
        hold(release_folder, "members", "0.0.0", "loses sessions", NOW)
    assert error.value.rules == {Rule.UNKNOWN_RELEASE}


def test_only_an_existing_hold_can_be_lifted(release_folder: Path) -> None:
    """A second `unhold` is refused."""
    hold(release_folder, "members", "1.5.0", "loses sessions", NOW)
    lift_hold(release_folder, "members", "1.5.0", "it was the cache", NOW + timedelta(minutes=1))
    with pytest.raises(RefusedError) as error:
        lift_hold(release_folder, "members", "1.5.0", "again", NOW + timedelta(minutes=2))
    assert error.value.rules == {Rule.NO_HOLD}


def test_every_build_of_a_version_is_held_and_lifted(release_folder: Path) -> None:
    """A version that was built twice has two images; both are on hold, and both holds are lifted together."""
    hold(release_folder, "members", "1.5.0", "loses sessions", NOW)
    edit_file(release_folder, "alpha", "members@sha256:2", "members@sha256:9")
    assert len(hold(release_folder, "members", "1.5.0", "it was not the cache", NOW + timedelta(minutes=1))) == 2
    lifted = lift_hold(release_folder, "members", "1.5.0", "it was the cache", NOW + timedelta(minutes=2))
    assert [event.kind for event in lifted] == ["unhold", "unhold"]
    events = journal.read(release_folder)
    assert journal.active_holds(events, "members") == []


@pytest.mark.parametrize("text", ["config: [", "<<<<<<< HEAD\nconfig: {}\n", "just words", "config:\n  a: 1\n  a: 2\n"])
def test_a_draft_that_cannot_be_read_does_not_stop_a_hold(release_folder: Path, text: str) -> None:
    """Someone's unfinished environment file must not keep a bad release moving."""
    (release_folder / "Pulumi.draft.yaml").write_text(text, encoding="utf-8")
    events = hold(release_folder, "members", "1.5.0", "loses sessions", NOW)
    assert [event.kind for event in events] == ["hold"]


def test_a_hold_stays_when_a_default_is_spelled_out(release_folder: Path) -> None:
    """The release is the same one, however it is written."""
    hold(release_folder, "members", "1.5.0", "loses sessions", NOW)
    release = release_in((release_folder / "Pulumi.alpha.yaml").read_text(encoding="utf-8"), "members")
    spelled_out = {**release, "architecture": release.get("architecture", "arm64")}
    assert fingerprint(release) == fingerprint(spelled_out)
    assert journal.active_hold(journal.read(release_folder, "members"), "members", spelled_out)
