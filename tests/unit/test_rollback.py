"""Rolling back: the previous release that is not on hold is restored, and the replaced one is held everywhere."""

from datetime import timedelta
from pathlib import Path

import pytest

from release import journal, release_block
from release.errors import RefusedError, Rule
from release.holds import hold
from release.journal import Event
from release.outcomes import GateRecord, record_outcomes
from release.promote import Move, Request
from release.rollback import roll_back
from tests.unit.release_builders import (
    NOW,
    edit_file,
    promote_members,
    read_file,
    requested_release,
    set_version,
    state_of_file,
)


def roll_back_members(
    folder: Path, minutes: float, *, reason: str = "slow", backend: str = "sandbox"
) -> tuple[Move, Event | None]:
    """Roll members back in beta. minutes: after NOW."""
    request = Request("members", "", "beta", reason=reason, backend=backend)
    return roll_back(folder, request, NOW + timedelta(minutes=minutes))


def refused_rules(folder: Path, request: Request, minutes: float = 10) -> set[Rule]:
    """Return why a rollback is refused; it must be, and it must not change beta's file."""
    before = read_file(folder, "beta")
    with pytest.raises(RefusedError) as error:
        roll_back(folder, request, NOW + timedelta(minutes=minutes))
    assert read_file(folder, "beta") == before
    return error.value.rules


def test_a_rollback_restores_the_file_and_holds_the_bad_release_everywhere(release_folder: Path) -> None:
    """Every byte of the file is as it was before the promotion, and the release cannot be promoted again."""
    edit_file(release_folder, "alpha", "'16.10'", '"16.9"')
    original = (release_folder / "Pulumi.beta.yaml").read_bytes()
    promote_members(release_folder)
    assert (release_folder / "Pulumi.beta.yaml").read_bytes() != original
    _, hold_event = roll_back_members(release_folder, minutes=1)
    assert hold_event
    assert (hold_event.kind, hold_event.version, hold_event.environment) == ("hold", "1.5.0", "")
    assert (release_folder / "Pulumi.beta.yaml").read_bytes() == original
    with pytest.raises(RefusedError) as error:
        promote_members(release_folder, minutes=2)
    assert error.value.rules == {Rule.HELD}


def test_a_rollback_needs_a_reason(release_folder: Path) -> None:
    """It appears in the journal and on the hold."""
    promote_members(release_folder)
    assert refused_rules(release_folder, Request("members", "", "beta", reason=" ")) == {Rule.REASON_REQUIRED}


def test_a_rollback_that_is_not_deployed_yet_is_not_repeated(release_folder: Path) -> None:
    """Going back one release further would remove a good one."""
    promote_members(release_folder)
    roll_back_members(release_folder, minutes=1)
    request = Request("members", "", "beta", reason="again")
    assert refused_rules(release_folder, request) == {Rule.ALREADY_ROLLED_BACK}


def test_a_service_that_was_never_promoted_cannot_be_rolled_back(release_folder: Path) -> None:
    """The journal does not know what was before."""
    request = Request("core", "", "beta", reason="slow")
    assert refused_rules(release_folder, request) == {Rule.NO_EARLIER_RELEASE}


def test_a_rollback_keeps_a_newer_database_engine(release_folder: Path) -> None:
    """RDS cannot downgrade it; everything else is restored."""
    promote_members(release_folder)
    move, hold_event = roll_back_members(release_folder, minutes=1)
    release = requested_release(release_folder, "beta", "members")
    assert (release["version"], release["database_engine"]) == ("1.4.2", "16.10")
    assert len(move.notes) == 1
    assert move.event.checks == list(move.notes)
    assert move.event.fingerprint != move.event.restored_fingerprint
    assert hold_event
    assert hold_event.version == "1.5.0"


def test_a_rollback_skips_releases_on_hold(release_folder: Path) -> None:
    """It restores the newest earlier release that nobody holds, and notes which it skipped."""
    for minute, version in enumerate(("2.0.0", "3.0.0")):
        set_version(release_folder, "alpha", version)
        promote_members(release_folder, minutes=minute)
    hold(release_folder, "members", "2.0.0", "loses sessions", NOW + timedelta(minutes=2))
    move, hold_event = roll_back_members(release_folder, minutes=3)
    assert hold_event
    assert (move.event.version, hold_event.version) == ("1.4.2", "3.0.0")
    assert any("2.0.0" in note and "loses sessions" in note for note in move.notes)


def test_a_rollback_on_another_backend_does_not_go_one_release_further(release_folder: Path) -> None:
    """Someone who forgot `--on aws` and repeats the command removes no good release."""
    for minute, version in enumerate(("2.0.0", "3.0.0")):
        set_version(release_folder, "alpha", version)
        promote_members(release_folder, minutes=minute, backend="aws")
    roll_back_members(release_folder, minutes=3)
    move, hold_event = roll_back_members(release_folder, minutes=4, backend="aws")
    assert hold_event is None
    assert requested_release(release_folder, "beta", "members")["version"] == "2.0.0"
    assert (move.event.kind, move.event.backend, move.event.version) == ("rollback", "aws", "2.0.0")


@pytest.mark.parametrize("has_newer_engine", [False, True])
def test_a_rollback_is_refused_if_every_earlier_release_is_on_hold(
    release_folder: Path, *, has_newer_engine: bool
) -> None:
    """If 1 was replaced by 2, which is on hold, and that by 1 again, no good release is left."""
    if not has_newer_engine:
        edit_file(release_folder, "alpha", "'16.10'", '"16.9"')
    set_version(release_folder, "alpha", "2.0.0")
    promote_members(release_folder)
    hold(release_folder, "members", "2.0.0", "bad", NOW + timedelta(minutes=1))
    first_block = journal.read(release_folder, "members")[0].previous_block
    text = release_block.with_release(read_file(release_folder, "alpha"), "members", first_block, "f")
    (release_folder / "Pulumi.alpha.yaml").write_text(text, encoding="utf-8")
    if has_newer_engine:
        edit_file(release_folder, "beta", "'16.10'", '"16.9"')
    promote_members(release_folder, minutes=2)
    request = Request("members", "", "beta", reason="worse")
    assert refused_rules(release_folder, request) == {Rule.NO_EARLIER_RELEASE}


def test_a_second_rollback_after_a_kept_database_engine_goes_one_release_further(release_folder: Path) -> None:
    """The journal knows which release was restored, although its database engine is newer now."""
    set_version(release_folder, "alpha", "2.0.0")
    edit_file(release_folder, "alpha", "'16.10'", '"16.9"')
    promote_members(release_folder)
    set_version(release_folder, "alpha", "3.0.0")
    edit_file(release_folder, "alpha", '"16.9"', '"16.10"')
    promote_members(release_folder, minutes=1)
    first, _ = roll_back_members(release_folder, minutes=2)
    assert first.event.version == "2.0.0"
    assert requested_release(release_folder, "beta", "members")["database_engine"] == "16.10"
    record_outcomes(
        release_folder,
        state_of_file(release_folder, "beta"),
        issues={"members": []},
        gate=GateRecord(),
        now=NOW + timedelta(minutes=3),
        backend="sandbox",
    )
    second, _ = roll_back_members(release_folder, minutes=4, reason="slow too")
    assert second.event.version == "1.4.2"
    assert requested_release(release_folder, "beta", "members")["database_engine"] == "16.10"


def test_a_release_whose_servers_failed_is_not_restored(release_folder: Path) -> None:
    """A rollback goes back to the newest release that ran well, and says what it skipped."""
    for minute, version in enumerate(("2.0.0", "3.0.0")):
        set_version(release_folder, "alpha", version)
        promote_members(release_folder, minutes=2 * minute)
        issues = ["too few servers"] if version == "2.0.0" else []
        record_members(release_folder, 2 * minute + 1, issues)
    move, _ = roll_back_members(release_folder, minutes=5)
    assert move.event.version == "1.4.2"
    assert len(move.notes) == 2  # the skipped release, and the database engine that stays


def test_a_failed_rollback_can_be_followed_by_another(release_folder: Path) -> None:
    """If the restored release's servers fail as well, the next rollback goes back one release further."""
    for minute, version in enumerate(("2.0.0", "3.0.0")):
        set_version(release_folder, "alpha", version)
        promote_members(release_folder, minutes=2 * minute)
        record_members(release_folder, 2 * minute + 1, [])
    first, _ = roll_back_members(release_folder, minutes=5)
    record_members(release_folder, 6, ["too few servers"])
    second, hold_event = roll_back_members(release_folder, minutes=7)
    assert (first.event.version, second.event.version) == ("2.0.0", "1.4.2")
    assert hold_event
    assert hold_event.version == "2.0.0"


def test_rolling_back_settings_does_not_hold_the_build(release_folder: Path) -> None:
    """Only the release with the bad settings is on hold; the release before it has the same image and is not."""
    edit_file(release_folder, "alpha", "'16.10'", '"16.9"')
    promote_members(release_folder)
    good = requested_release(release_folder, "beta", "members")
    set_version(release_folder, "alpha", "1.5.1")
    promote_members(release_folder, minutes=1)
    bad = requested_release(release_folder, "beta", "members")
    roll_back_members(release_folder, minutes=2)
    events = journal.read(release_folder)
    assert journal.active_hold(events, "members", bad)
    assert journal.active_hold(events, "members", good) is None


def record_members(folder: Path, minutes: float, issues: list[str]) -> None:
    """Record what became of members in beta, which runs what its file says."""
    state = state_of_file(folder, "beta")
    now = NOW + timedelta(minutes=minutes)
    record_outcomes(folder, state, issues={"members": issues}, gate=GateRecord(), now=now, backend="sandbox")
