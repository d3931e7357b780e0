"""Outcomes: the journal says whether a release that was moved was deployed."""

from datetime import timedelta
from pathlib import Path

from release import journal
from release.journal import Event
from release.outcomes import GateRecord, record_outcomes
from release.promote import Request
from tests.unit.release_builders import NOW, promote_members, promote_release, state_of_file

GATE = GateRecord(
    ["passed: 2 resources changed, configuration differs in members"], ["releases/approvals/members/1.yaml"]
)


def record(folder: Path, minutes: float, *issues: str, backend: str = "sandbox") -> list[Event]:
    """Record outcomes of beta, which runs what its file says. issues: of the servers of members."""
    return record_outcomes(
        folder,
        state_of_file(folder, "beta"),
        issues={"members": issues},
        gate=GATE,
        now=NOW + timedelta(minutes=minutes),
        backend=backend,
    )


def test_a_move_is_pending_until_its_servers_are_healthy(release_folder: Path) -> None:
    """An update with unhealthy servers is recorded as failed, and the next one with healthy servers as deployed."""
    move = promote_members(release_folder).event
    (failed,) = record(release_folder, 5, "too few servers")
    assert (failed.kind, failed.reason) == ("failed", "too few servers")
    assert journal.pending_move(journal.read(release_folder), "members", "beta", "sandbox") == move
    (deployed,) = record(release_folder, 6)
    assert (deployed.kind, deployed.environment, deployed.fingerprint) == ("deployed", "beta", move.fingerprint)
    assert (deployed.gate, deployed.approvals) == (list(GATE.summary), list(GATE.approvals))
    assert journal.pending_move(journal.read(release_folder), "members", "beta", "sandbox") is None
    assert record(release_folder, 7) == []
    assert [event.kind for event in journal.read(release_folder, "members")] == ["promote", "failed", "deployed"]


def test_only_services_that_were_checked_get_an_outcome(release_folder: Path) -> None:
    """A move of another service stays pending."""
    promote_members(release_folder)
    promote_release(release_folder, Request("core", "alpha", "beta"))
    assert [event.service for event in record(release_folder, 5)] == ["members"]
    assert journal.pending_move(journal.read(release_folder), "core", "beta", "sandbox") is not None


def test_a_release_that_is_not_deployed_gets_no_outcome(release_folder: Path) -> None:
    """The stack still runs the release from before the move."""
    before = state_of_file(release_folder, "beta")
    promote_members(release_folder)
    later = NOW + timedelta(minutes=5)
    events = record_outcomes(release_folder, before, issues={"members": []}, gate=GATE, now=later, backend="sandbox")
    assert events == []


def test_the_sandbox_says_nothing_about_aws(release_folder: Path) -> None:
    """A move on AWS is pending there, and may run in the sandbox without being recorded as deployed."""
    move = promote_members(release_folder, backend="aws").event
    assert move.backend == "aws"
    events = journal.read(release_folder)
    assert journal.pending_move(events, "members", "beta", "aws") == move
    assert journal.pending_move(events, "members", "beta", "sandbox") is None
    assert journal.last_move(events, "members", "beta", "sandbox") == move
    assert record(release_folder, 1, backend="sandbox") == []
